"""Hydra launcher: each job in a process of its own."""
