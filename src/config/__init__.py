"""The configuration: its shape, its limits, its identity. Knows no file of data and no library."""

from src.config.identity import configuration_hash, flatten
from src.config.overrides import quote_trial_numbers
from src.config.schema import Config, register_schema
from src.config.validation import to_config, validate

__all__ = [
    "Config",
    "configuration_hash",
    "flatten",
    "quote_trial_numbers",
    "register_schema",
    "to_config",
    "validate",
]
