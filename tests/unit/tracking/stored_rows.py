"""All rows of a store, to compare two stores."""

import sqlite3
from contextlib import closing
from pathlib import Path

_ROWS = {
    "runs": """SELECT name, source_type, source_name, entry_point_name, user_id, status,
        start_time, end_time, deleted_time, source_version, lifecycle_stage,
        replace(artifact_uri, run_uuid, 'ID'), experiment_id FROM runs""",
    "tags": "SELECT name, key, tags.value FROM tags JOIN runs USING (run_uuid)",
    "params": "SELECT name, key, params.value FROM params JOIN runs USING (run_uuid)",
    "metrics": """SELECT name, key, value, timestamp, step, is_nan
        FROM metrics JOIN runs USING (run_uuid)""",
    "latest_metrics": """SELECT name, key, value, timestamp, step, is_nan
        FROM latest_metrics JOIN runs USING (run_uuid)""",
    "datasets": """SELECT experiment_id, name, digest, dataset_source_type, dataset_source,
        dataset_schema, dataset_profile FROM datasets""",
    "inputs": """SELECT runs.name, inputs.source_type, destination_type, step, datasets.name, digest
        FROM inputs JOIN runs ON destination_id = run_uuid
        JOIN datasets ON source_id = dataset_uuid""",
    "input_tags": """SELECT runs.name, input_tags.name, value
        FROM input_tags JOIN inputs USING (input_uuid) JOIN runs ON destination_id = run_uuid""",
}


def everything(folder: Path) -> dict[str, list[tuple]]:
    """Returns the rows of a folder's store, by table, with names of runs instead of ids.

    Of tables without runs, the number of rows.
    """
    with closing(sqlite3.connect(folder / "mlflow.db")) as connection:
        tables = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        queries = {table: f"SELECT count(*) FROM {table}" for (table,) in tables} | _ROWS
        return {
            table: sorted(connection.execute(query).fetchall(), key=repr)
            for table, query in queries.items()
        }
