"""HTTP of the reporter: JSON, the page and what it needs."""
