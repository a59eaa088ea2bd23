import pytest

from src.cli.options import run_command, study_name
from src.core.errors import UsageError


def test_study_may_be_typed_as_an_override() -> None:
    assert {study_name(f"{prefix}a b") for prefix in ("", "study=", "study.name=")} == {"a b"}


def test_error_that_explains_itself_ends_a_command_with_one_line() -> None:
    def refused() -> None:
        raise UsageError("No. Received: x. Fix: y")

    with pytest.raises(SystemExit, match=r"^error: No\. Received: x\. Fix: y$"):
        run_command(refused)


def test_interrupt_ends_a_command_with_the_status_of_shells(capsys) -> None:
    def interrupted() -> None:
        raise KeyboardInterrupt

    with pytest.raises(SystemExit) as ending:
        run_command(interrupted)
    assert ending.value.code == 130
    assert capsys.readouterr().out == "Interrupted.\n"


def test_other_errors_keep_their_traceback() -> None:
    def defect() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run_command(defect)
