"""Many trials: what to try next, and a study that survives anything."""
