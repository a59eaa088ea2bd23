import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_help_and_a_missing_store_need_nothing_heavy_and_leave_no_file(in_tmp_path) -> None:
    def typed(*words: str) -> subprocess.CompletedProcess:
        return subprocess.run(
            [sys.executable, "-X", "importtime", "-m", "src.champion", *words],
            capture_output=True, text=True, timeout=60, env={"PYTHONPATH": str(ROOT)},
        )  # fmt: skip

    helped = typed("--help")
    assert "python -m src.champion" in helped.stdout
    assert not set(re.findall(r"\| +(\w+)", helped.stderr)) & {"tensorflow", "keras", "mlflow"}
    refused = typed("small")
    assert refused.returncode == 1
    assert "error: There is no tracking store yet." in refused.stderr
    assert not set(re.findall(r"\| +(\w+)", refused.stderr)) & {"tensorflow", "keras"}
    assert not list(in_tmp_path.iterdir())
