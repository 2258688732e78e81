"""The `menagerie` command: local stack, requests, reads and the demo."""
