"""The image library: takes uploads in, keeps labels, packs snapshots."""
