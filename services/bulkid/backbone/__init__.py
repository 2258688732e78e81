"""Similarity vectors of pictures: the pretrained network, folded, and the encoders."""
