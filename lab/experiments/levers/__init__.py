"""Levers of a training: points of a sweep, the run that makes them, the page."""
