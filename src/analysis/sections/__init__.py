"""What stands in a study's report, one module a chapter."""
