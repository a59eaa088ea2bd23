"""What a study says, worked out from what its trials recorded; no model and no TensorFlow."""
