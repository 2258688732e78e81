"""The double-check queue: labels that are likely wrong, and what to compare each image with."""
