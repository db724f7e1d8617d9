"""What changes in the model: one file a method, and the training loop they share."""
