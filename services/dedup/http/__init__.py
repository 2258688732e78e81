"""Dedup's HTTP side (docs/architecture.md, HTTP)."""
