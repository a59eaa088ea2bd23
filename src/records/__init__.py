"""Records of trials: their data classes and tables, without the store that they come from."""
