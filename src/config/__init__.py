"""The configuration: schema, ranges, effects of each key, and what is derived from them."""

from src.config.identity import (
    activation_values,
    affects_numbers,
    complete,
    configuration_hash,
    cost_shape,
    flatten,
    identity,
    pixel_values,
    program,
    run_name,
    stack_group,
    stack_key,
    unflatten,
    why_alone,
)
from src.config.objective import Objective, objective_of
from src.config.overrides import adapt_overrides
from src.config.schema import Config, TargetConfig, schema_nodes
from src.config.validation import to_config

__all__ = [
    "Config",
    "Objective",
    "TargetConfig",
    "activation_values",
    "adapt_overrides",
    "affects_numbers",
    "complete",
    "configuration_hash",
    "cost_shape",
    "flatten",
    "identity",
    "objective_of",
    "pixel_values",
    "program",
    "run_name",
    "schema_nodes",
    "stack_group",
    "stack_key",
    "to_config",
    "unflatten",
    "why_alone",
]
