"""From a task to a study: families and methods, the plan, its forecast, and the run."""
