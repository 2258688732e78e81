"""Scores every image of a model's data set, measures each set and computes the gate."""
