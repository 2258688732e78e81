"""The review page: labels in doubt, one image at a time, and rounds of double-checks."""
