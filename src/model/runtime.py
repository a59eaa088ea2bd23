"""Process-wide settings of Keras and its backend."""

import keras

from src.config.schema import Precision
from src.core.console import native_chatter_hidden


def set_up(seed: int, precision: Precision, deterministic: bool) -> None:
    """Seeds all generators, sets the dtype policy and clears earlier models.

    Args:
        seed: Seeds Python, NumPy and the backend; 0 is a seed.
        precision: Keras's dtype policy.
        deterministic: Forbid operations whose result may depend on timing, for the rest of the
            process: TensorFlow cannot allow them again.
    """
    keras.utils.clear_session()
    keras.utils.set_random_seed(seed)
    keras.config.set_dtype_policy(str(precision))
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        with native_chatter_hidden():
            tf.config.list_logical_devices()  # initialises GPUs, with messages
        if deterministic:
            tf.config.experimental.enable_op_determinism()
