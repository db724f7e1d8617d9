"""What the notebooks stand on: studies on the shelf, runs in the background, views of a task."""
