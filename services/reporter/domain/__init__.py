"""Pure functions: what an event changes in the read model, and how figures are drawn."""
