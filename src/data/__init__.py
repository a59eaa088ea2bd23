"""Faces and their ages: reading, auditing, splitting, decoding, caching and batching.

The one door to pictures: Pillow and OpenCV are imported here only.
"""

from src.data.batches import TrainingBatches
from src.data.dataset import Dataset, Part, prepare

__all__ = ["Dataset", "Part", "TrainingBatches", "prepare"]
