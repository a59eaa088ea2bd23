"""Hydra sweeper: keras-tuner's oracles decide what runs next."""
