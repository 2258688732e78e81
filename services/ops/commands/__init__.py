"""One module per command or pair of commands; heavy imports stay inside the functions."""
