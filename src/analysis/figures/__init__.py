"""Pictures of a study; each can be read in gray, on a phone, and without its text."""
