"""What the lab measures beside a decision: the ledger of costs, levers, cards."""
