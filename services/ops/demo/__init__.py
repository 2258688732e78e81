"""The whole chain on real images, twice, with planted trouble and a final account."""
