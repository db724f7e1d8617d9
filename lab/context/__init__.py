"""What goes into the prompt: one file a context."""
