"""Report of a study, computed from the records of its trials. Needs no model and no TensorFlow."""
