"""Networks by name, their weights, and how a model is loaded; for child processes, as Keras is heavy."""
