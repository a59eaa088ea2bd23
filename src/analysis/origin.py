"""Cost and Reproduce sections of the report."""

import shlex

from src.analysis.formatting import count
from src.analysis.study_data import StudyData
from src.core import names
from src.core.console import spell_seconds
from src.pages.blocks import Section, Text
from src.records.trial import TrialRecord


def cost_section(study: StudyData) -> Section:
    """Returns the section; without blocks if no trial has a duration."""
    seconds = [trial.seconds for trial in study.trials if trial.seconds is not None]
    if not seconds:
        return Section("Cost", [])
    energies = [_kilowatt_hours(trial) for trial in study.trials]
    known = [energy for energy in energies if energy is not None]
    energy = "Energy: unknown (no power was recorded)."
    if known:
        number = count(len(known), "trial")
        energy = f"Energy of the GPUs: {sum(known):.2f} kWh ({number}, by their last reading)."
    words = (
        f"{count(len(seconds), 'trial')}, {len(study.curves):,} epochs, "
        f"{spell_seconds(sum(seconds))} of trial time. {energy}"
    )
    return Section("Cost", [Text(words)])


def reproduce_section(study: StudyData) -> Section:
    """Returns the section."""
    lines = [_without_paths(study.command)] if study.command else []
    lines.append(f'make report STUDY="{study.name}"')
    numbers = [trial.number for trial in study.compared if trial.number is not None]
    if numbers:
        lines.append(f'make replay STUDY="{study.name}" TRIAL={numbers[0]}   # any of its trials')
    commits = sorted({t.tags.get(names.GIT_COMMIT, "")[:10] for t in study.trials} - {""})
    digests = sorted({trial.data_digest for trial in study.compared} - {""})
    facts = [f"Code: commit {', '.join(commits)}."] if commits else []
    facts += [f"Faces and split: digest {', '.join(digests)}."] if digests else []
    return Section("Reproduce", [Text("\n".join(["```", *lines, "```"])), Text(" ".join(facts))])


def _kilowatt_hours(trial: TrialRecord) -> float | None:
    """Returns the energy by MLflow's last reading of each GPU's power in watts."""
    watts = [
        value
        for key, value in trial.metrics.items()
        if key.startswith("system/gpu_") and key.endswith("power_usage_watts")
    ]
    return sum(watts) * (trial.seconds or 0) / 3.6e6 if watts else None


def _without_paths(command: str) -> str:
    """Returns the command without paths of the machine that ran it."""
    words = []
    for word in shlex.split(command):
        key, equals, value = word.partition("=")
        is_path = bool(equals) and value.strip("'\"").startswith(("/", "~"))
        words.append(f"{key}=<path>" if is_path else shlex.quote(word))
    return " ".join(words)
