"""Confused pairs and the double-check queue: files, tables, and what people ask of them."""
