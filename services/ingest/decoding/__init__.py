"""Decoding of hostile bytes in bounded processes."""
