"""Reproduce section of the report: commands, commit and data digest."""

import shlex

from src.analysis.study_data import StudyData
from src.core import names
from src.pages.blocks import Section, Text


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


def _without_paths(command: str) -> str:
    """Returns the command without paths of the machine that ran it."""
    words = []
    for word in shlex.split(command):
        key, equals, value = word.partition("=")
        is_path = bool(equals) and value.strip("'\"").startswith(("/", "~"))
        words.append(f"{key}=<path>" if is_path else shlex.quote(word))
    return " ".join(words)
