"""Pure functions of stored results: statistics, costs."""
