"""Base models: bundled ones, local folders, Hub ids; prompts and generation."""
