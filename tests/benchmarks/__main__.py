"""All benchmarks, one after the other, and their table.

    python -m tests.benchmarks                    # everything, an hour on 2 cores
    python -m tests.benchmarks trial_cost         # some of: see MODULES
    python -m tests.benchmarks --table            # only write the table from what was measured

The table lands in `experiments/benchmarks/README.md`. A timing wants the machine for itself.
"""

import json
import subprocess
import sys

import pandas as pd

from tests.benchmarks.rows import FOLDER

MODULES = ("trial_cost", "frozen_backbone", "input_pipeline", "logging_cost", "choices", "growth",
           "gpu_steps")  # fmt: skip
START, END = "<!-- Written by make bench from here … -->", "<!-- … to here. -->"


def main() -> None:
    """Measure what was asked for, then write the table."""
    asked = sys.argv[1:] or list(MODULES)
    for name in () if asked == ["--table"] else asked:
        print(f"\n{name}", flush=True)
        subprocess.run([sys.executable, "-m", f"tests.benchmarks.{name}"], check=True)
    write_table()


def write_table() -> None:
    """Put all measured rows between the marks of the README."""
    path = FOLDER / "README.md"
    text = path.read_text() if path.exists() else f"# Benchmarks\n\n{START}\n{END}\n"
    head, _, rest = text.partition(START)
    tail = rest.partition(END)[2]
    parts = [part for name in MODULES if (part := section(name))]
    path.write_text(f"{head}{START}\n\n" + "\n\n".join(parts) + f"\n\n{END}{tail}")
    print(f"\nThe table: {path}")


def section(name: str) -> str:
    """One benchmark's rows as Markdown; empty where it was not measured."""
    if not (FOLDER / f"{name}.csv").exists():
        return ""
    machine = json.loads((FOLDER / f"{name}.json").read_text())
    lines = [
        f"### {name}",
        "",
        f"{machine['cpu_cores']} cores ({machine['processor']}), {machine['memory_gib']} GiB, "
        f"Python {machine['python']}.",
        "",
    ]
    frame = pd.read_csv(FOLDER / f"{name}.csv")
    if "ratio" not in frame:
        return "\n".join([*lines, *markdown(frame)])
    lines += ["| what | ours | against | theirs | ratio | to reach | bound by |",
              "|---|---|---|---|---|---|---|"]  # fmt: skip
    for row in frame.fillna({"limit": "–"}).itertuples():
        verdict = "" if row.is_reached else " **missed**"
        lines.append(
            f"| {row.what} | {row.ours:.4g} {row.unit} | {row.peer} | {row.theirs:.4g} | "
            f"{row.ratio:.3g}× | {row.target}{verdict} | {row.limit} |"
        )
    commands = dict.fromkeys(frame["command"])
    return "\n".join([*lines, "", "Commands: " + ", ".join(f"`{each}`" for each in commands)])


def markdown(frame: pd.DataFrame) -> list[str]:
    """A plain table."""
    rows = [frame.columns, ["---"] * len(frame.columns), *frame.itertuples(index=False)]
    return ["| " + " | ".join(map(spell, row)) + " |" for row in rows]


def spell(value: object) -> str:
    """A cell."""
    if isinstance(value, float):
        return "" if value != value else f"{value:.4g}"
    return str(value)


if __name__ == "__main__":
    main()
