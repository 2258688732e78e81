"""Pure functions: which images, which run, which pages, which candidates."""
