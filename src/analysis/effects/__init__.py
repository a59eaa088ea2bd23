"""Effects of the hyperparameters on error, generalisation gap and time."""
