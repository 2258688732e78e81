"""Explanations of one image by one model: the child's side, and what is kept of them in the store."""
