"""Hydra launcher: jobs in processes of their own."""
