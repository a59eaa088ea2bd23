"""Cost section of the report: trials, time and energy."""

from src.analysis.formatting import count
from src.analysis.study_data import StudyData
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
    energy = (
        f"Energy of the GPUs: {sum(known):.2f} kWh ({count(len(known), 'trial')}, by the last "
        "reading of their power)."
        if known
        else "Energy: unknown (no power was recorded)."
    )
    words = (
        f"{count(len(seconds), 'trial')}, {len(study.curves):,} epochs, "
        f"{spell_seconds(sum(seconds))} of trial time. {energy}"
    )
    return Section("Cost", [Text(words)])


def _kilowatt_hours(trial: TrialRecord) -> float | None:
    """Returns the energy by MLflow's last reading of each GPU's power in watts."""
    watts = [
        value
        for key, value in trial.metrics.items()
        if key.startswith("system/gpu_") and key.endswith("power_usage_watts")
    ]
    return sum(watts) * (trial.seconds or 0) / 3.6e6 if watts else None
