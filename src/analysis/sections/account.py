"""What to ask before a study is believed, what it cost, and how to run it again."""

import shlex
from collections.abc import Mapping, Sequence

import pandas as pd

from src.analysis.checks import Check
from src.analysis.sections.formatting import count
from src.analysis.study_data import StudyData
from src.core.console import spell_seconds
from src.pages import Section, Table, Text


def checks_section(checks: Sequence[Check]) -> Section:
    """The chapter; without blocks where there is nothing to say."""
    cells = pd.DataFrame(
        {
            "question": [each.question for each in checks],
            "": ["✓" if each.is_passed else "look" for each in checks],
            "answer": [each.answer for each in checks],
        }
    )
    return Section(
        "Four checks",
        [Table("checks", cells, "To be asked before any answer above is believed.")],
    )


def cost_section(study: StudyData) -> Section:
    """The chapter; without blocks where there is nothing to say."""
    seconds = [trial.seconds for trial in study.trials if trial.seconds is not None]
    if not seconds:
        return Section("Cost", [])
    epochs = len(study.curves)
    words = (
        f"{count(len(seconds), 'trial')}, {epochs:,} epochs, {spell_seconds(sum(seconds))} of "
        "trial time."
    )
    energies = [_kilowatt_hours(trial.metrics, trial.seconds or 0) for trial in study.trials]
    known = [energy for energy in energies if energy is not None]
    if known:
        words += (
            f" GPUs: {sum(known):.2f} kWh ({count(len(known), 'trial')}, by the last reading of "
            "their power)."
        )
    else:
        words += " Energy: not known (no power was recorded)."
    return Section("Cost", [Text(words)])


def _kilowatt_hours(metrics: Mapping[str, float], seconds: float) -> float | None:
    """From MLflow's last reading of each GPU's power, watts."""
    watts = [
        value
        for key, value in metrics.items()
        if key.startswith("system/gpu_") and key.endswith("power_usage_watts")
    ]
    return sum(watts) * seconds / 3.6e6 if watts else None


def again_section(study: StudyData) -> Section:
    """The chapter; without blocks where there is nothing to say."""
    lines = [_without_paths(study.command)] if study.command else []
    lines.append(f'make report STUDY="{study.name}"')
    numbers = [trial.number for trial in study.compared if trial.number is not None]
    if numbers:
        lines.append(f'make replay STUDY="{study.name}" TRIAL={numbers[0]}   # any of its trials')
    commits = {t.tags.get("mlflow.source.git.commit", "")[:10] for t in study.trials} - {""}
    code = f"Code: commit {', '.join(sorted(commits))}." if commits else ""
    digests = sorted({trial.data_digest for trial in study.compared} - {""})
    faces = f" Faces and split: digest {', '.join(digests)}." if digests else ""
    return Section("Again", [Text("\n".join(["```", *lines, "```"])), Text(code + faces)])


def _without_paths(command: str) -> str:
    """Whoever reads this has files elsewhere: no path of the machine that ran it."""
    words = []
    for word in shlex.split(command):
        key, equals, value = word.partition("=")
        is_path = bool(equals) and value.strip("'\"").startswith(("/", "~"))
        words.append(f"{key}=<path>" if is_path else shlex.quote(word))
    return " ".join(words)
