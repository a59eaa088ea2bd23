"""Measure a study's best trial on the test part, once: `python -m src.champion <study>`."""

from collections.abc import Sequence

from rich.markup import escape

from src.cli.options import command_parser, run_command
from src.core import names
from src.core.console import empty_table, show
from src.core.imports import large_imports


def main(arguments: Sequence[str] | None = None) -> None:
    """Tests and registers the trial that the command line names, or the study's best."""
    parser = command_parser(
        "champion",
        "Measure a study's best trial on the unused test part, and register its model with a "
        "model card. A second evaluation of the test part is refused.",
        '"small"',
    )
    parser.add_argument("--trial", type=int, metavar="N", help="another trial than the best")
    parser.add_argument("--again", action="store_true", help="evaluate the test part once more")
    parser.add_argument("--root", metavar="FOLDER", help="of the faces, if they were moved")
    chosen = parser.parse_args(arguments)
    run_command(lambda: _crown(**vars(chosen)))


def _crown(
    experiment: str | None, study: str, trial: int | None, again: bool, root: str | None
) -> None:
    with large_imports():
        from src.evaluation.champion import crown
        from src.evaluation.choice import stored_epoch
        from src.records.tables import interval

    champion = crown(experiment, study, trial, again, root)
    known, new = champion.choice.trial.metrics, champion.test.metrics
    target, version = champion.terms.target, champion.version
    val_mae, train_mae, _ = stored_epoch(champion.terms.objective)
    numbers = (f"MAE, {target.unit}", "95 %")
    grid = empty_table("faces", *numbers, numbers=numbers, title=champion.choice.trial.name)
    for name, metrics, key in (("test", new, names.TEST_MAE), ("validation", known, val_mae)):
        grid.add_row(name, f"{metrics[key]:.2f}", escape(interval(metrics, key)))
    grid.add_row("training", f"{known[train_mae]:.2f}", "")
    grid.add_row("test, predicting the median", f"{new[names.TEST_MEDIAN_PREDICTOR_MAE]:.2f}", "")
    show(grid)
    replaced = f"; champion was {version.replaced}" if version.replaced else ""
    size = champion.config.data.image_size
    print(
        f"Test-set evaluation {champion.num_evaluations}. Registered as version {version.number}, "
        f"with the aliases champion and {version.alias}{replaced}.\n"
        f"`mlflow ui` shows its model card at {version.page()}\n\n"
        f"    import mlflow\n"
        f'    model = mlflow.pyfunc.load_model("models:/{version.model}@champion")\n'
        f"    predictions = model.predict(pictures)  # {target.unit}, from uint8 "
        f"(n, {size}, {size}, 3), RGB\n"
    )


if __name__ == "__main__":
    main()
