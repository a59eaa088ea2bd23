"""Options, errors and interrupts of commands."""

import argparse
import signal
import sys
from collections.abc import Callable

from src.core.errors import ExplainedError
from src.core.signals import handled


def command_parser(
    command: str, description: str, example: str, needs_study: bool = True
) -> argparse.ArgumentParser:
    """Returns the parser of a command that reads a study, or several, from the tracking store.

    Args:
        command: Name of its module in `src`.
        description: First text of `--help`.
        example: Arguments that show its use.
        needs_study: Whether it must be given a study.
    """
    program = f"python -m src.{command}"
    parser = argparse.ArgumentParser(
        program, description=description, epilog=f"example: {program} {example}"
    )
    parser.add_argument("--experiment", metavar="NAME", help="MLflow's experiment (default: all)")
    nargs = None if needs_study else "?"
    parser.add_argument("study", nargs=nargs, type=study_name, help="its name, or study=<name>")
    return parser


def study_name(typed: str) -> str:
    """Returns the name in `small`, `study=small` or `study.name=small`."""
    return typed.removeprefix("study.name=").removeprefix("study=")


def run_command(command: Callable[[], None]) -> None:
    """Calls a command. An error that explains itself ends it with one line and exit status 1."""
    try:
        with handled((signal.SIGINT,), signal.default_int_handler):  # so that it can be held back
            command()
    except ExplainedError as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        print("Interrupted.")
        sys.exit(130)
