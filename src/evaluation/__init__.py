"""Final evaluation of a study: its best trial is chosen, tested once, and registered."""
