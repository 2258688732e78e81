"""The ways in: whatever arrives is kept, then told as image.uploaded."""
