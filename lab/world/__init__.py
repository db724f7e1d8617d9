"""The generated world: names and facts, the pretraining corpus, the bundled tasks,
the probes, and pretraining itself."""
