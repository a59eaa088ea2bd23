"""Faces and their labels: reading, auditing, splitting, decoding, caching and batching.

Pillow and OpenCV are imported here only.
"""

from src.data.batches import TrainingBatches
from src.data.dataset import Dataset, Part, prepare

__all__ = ["Dataset", "Part", "TrainingBatches", "prepare"]
