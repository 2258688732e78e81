"""The evaluator's HTTP side (docs/architecture.md, HTTP)."""
