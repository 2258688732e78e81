"""Packs the library into tar shards and a manifest in the object store."""
