"""The configuration: schema, ranges, effects of each key, and what is derived from them."""

from src.config.identity import activation_values as activation_values
from src.config.identity import affects_numbers as affects_numbers
from src.config.identity import complete as complete
from src.config.identity import configuration_hash as configuration_hash
from src.config.identity import flatten as flatten
from src.config.identity import identity as identity
from src.config.identity import program as program
from src.config.identity import run_name as run_name
from src.config.identity import stack_group as stack_group
from src.config.identity import stack_key as stack_key
from src.config.identity import unflatten as unflatten
from src.config.objective import Objective as Objective
from src.config.objective import objective_of as objective_of
from src.config.schema import Config as Config
from src.config.schema import TargetConfig as TargetConfig
from src.config.validation import to_config as to_config
