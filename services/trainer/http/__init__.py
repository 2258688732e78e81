"""The trainer's HTTP side: data sets, to read (docs/architecture.md, HTTP)."""
