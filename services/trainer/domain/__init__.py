"""Pure rules of the trainer: which image goes where, how much to train, which version comes next."""
