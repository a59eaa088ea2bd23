"""Parts that the commands share: options, errors, and the launch of Hydra."""
