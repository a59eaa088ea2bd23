"""Pages that are kept with a run, which is not a trial."""

from mlflow.tracking import MlflowClient

from src.tracking import Start, trial_runs
from src.tracking.lookup import studies
from src.tracking.pages import log_page


def test_page_is_complete_and_its_run_is_no_study(store) -> None:
    with trial_runs("faces", [Start("eda", {"kind": "eda"})], system_metrics=False) as (opened,):
        run_id = opened.id
        opened.log_final({"data/faces": 7})
        files = {"figures/ages.png": b"png", "tables/ages.csv": b"a,b\n1,2\n"}
        path, address = log_page(run_id, "eda.html", "<p>é</p>", files)
        log_page(run_id, "more/more.html", "<p></p>", {"tables/ages.csv": b"a\n"})
    run = MlflowClient().get_run(run_id)
    assert run.info.status == "FINISHED"
    assert run.data.tags["kind"] == "eda"
    assert run.data.metrics == {"data/faces": 7}
    assert path is not None
    assert path.read_text("utf-8") == "<p>é</p>"
    assert (path.parent / "figures/ages.png").read_bytes() == b"png"
    assert (path.parent / "tables/ages.csv").read_text() == "a,b\n1,2\n"
    assert (path.parent / "more/more.html").is_file()
    assert (path.parent / "more/tables/ages.csv").read_text() == "a\n"
    assert address.endswith(f"/runs/{run_id}/artifacts/eda.html?workflowType=machine_learning")
    assert studies("faces") == studies(None) == []
