"""Plumbing that every service shares: delivery policy, outbox, stores, child processes, health.

No business word and no TensorFlow in here. The policy it gives each handler is fixed by
docs/architecture.md; a service adds about 30 lines of wiring.
"""
