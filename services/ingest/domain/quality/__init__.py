"""What may be wrong with a picture, measured (docs/quality.md)."""
