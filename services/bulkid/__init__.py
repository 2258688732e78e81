"""Identifies the unlabelled images of a snapshot with an exported model."""
