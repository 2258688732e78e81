"""Similarity vectors of pictures: the pretrained network, its weights without torch, and the encoders."""
