"""Why is fine-tuning so cheap? Accounts, the run that measures them, the page."""
