"""The configuration: its shape, its limits, its identity."""

from src.config.identity import (
    configuration_hash,
    flatten,
    identity,
    moves_a_number,
    program,
    run_name,
    side_by_side,
    why_alone,
)
from src.config.overrides import adapt_overrides
from src.config.schema import Config, schema_nodes
from src.config.validation import to_config

__all__ = [
    "Config",
    "adapt_overrides",
    "configuration_hash",
    "flatten",
    "identity",
    "moves_a_number",
    "program",
    "run_name",
    "schema_nodes",
    "side_by_side",
    "to_config",
    "why_alone",
]
