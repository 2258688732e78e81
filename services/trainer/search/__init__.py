"""Search for good options: what may be tried, what is tried next, and the report of it all."""
