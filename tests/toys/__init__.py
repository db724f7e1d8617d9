"""Toys that prove "one file each": put beside the families' own files they are found, run and shown."""
