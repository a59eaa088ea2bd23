"""The promise to old stores: a key that comes later orphans no result.

`tests/data/stored_study.tar.gz` is a store that an early version of the project wrote on drawn
faces. Studies: `grid` (4 complete trials), `adhoc` (1), `bayes` (3 of 6, and one interrupted),
`hyper` (4 of 6, and one interrupted).
"""

import io
import json
import re
import sqlite3
import tarfile
from pathlib import Path

import pytest

from src.config import configuration_hash, unflatten

STORE = Path(__file__).parents[2] / "data/stored_study.tar.gz"


@pytest.fixture(scope="module")
def store(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("stored")
    with tarfile.open(STORE) as archive:
        archive.extractall(folder, filter="data")
    return folder


def test_recorded_configurations_keep_their_hashes(store: Path) -> None:
    with sqlite3.connect(store / "mlflow.db") as connection:
        hashes = dict(
            connection.execute(
                "SELECT run_uuid, value FROM tags WHERE key = 'configuration_hash'"
            ).fetchall()
        )
    connection.close()
    records = sorted(store.glob("mlruns/artifacts/*/artifacts/config.json"))
    assert len(records) == 14
    for record in records:
        run_id = record.parents[1].name
        assert configuration_hash(unflatten(json.loads(record.read_text()))) == hashes[run_id]


def test_store_names_no_machine_and_no_person() -> None:
    assert STORE.stat().st_size < 1_000_000
    private = re.compile(rb"/(?:home|root|work|tmp|Users)/|https?://(?!127\.0\.0\.1)")
    with tarfile.open(STORE) as archive:
        for member in archive.getmembers():
            assert not member.name.startswith("/")
            assert member.uid == 0
            content = archive.extractfile(member) if member.isfile() else io.BytesIO()
            assert content is not None
            assert private.search(content.read()) is None, member.name
