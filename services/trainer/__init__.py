"""Trainer: data sets, networks, fitting, export. Keras is imported in its child processes only."""
