"""The champion of a study: chosen, measured on the test part, and registered."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from src.config import Config
from src.core import names
from src.core.console import stderr
from src.core.imports import large_imports
from src.core.names import State
from src.evaluation.choice import Choice, choose, configuration, without_model
from src.records.terms import Terms
from src.tracking.lookup import find_study
from src.tracking.registry import Version, kept_model, load_model, register
from src.tracking.run import Run
from src.tracking.study import open_study
from src.tracking.test_access import (
    evaluations,
    num_evaluations_elsewhere,
    record_evaluation,
    refuse_another_evaluation,
)

if TYPE_CHECKING:
    from src.evaluation.final_test import FinalTest


@dataclass(frozen=True)
class Champion:
    """A trial that was measured on the test part and registered.

    Attributes:
        choice: The trial and how it was chosen.
        config: Its configuration.
        terms: Target and objective of its study.
        test: Its errors on the test part.
        num_evaluations: Test-set evaluations of its study, this one included.
        version: Version of the registered model.
    """

    choice: Choice
    config: Config
    terms: Terms
    test: "FinalTest"
    num_evaluations: int
    version: Version


def crown(
    experiment: str | None, study: str, number: int | None, again: bool, root: str | None
) -> Champion:
    """Measures a trial on the test part and registers its model.

    All that can be checked is checked before. The evaluation is counted before it begins: a command
    that is killed may have shown its number.

    Args:
        experiment: MLflow's experiment; None to look in all.
        study: Name of the study.
        number: The trial's; None for the best trial.
        again: Allows one more evaluation of the test part.
        root: Folder of the faces, if they were moved.

    Raises:
        UsageError: If the trial cannot be tested, or the test part was evaluated before.
        EnvironmentFaultError: If the stored model is not the trial's, or the study is running.
    """
    found = find_study(experiment, study)  # creates nothing
    with open_study(found.experiment, study) as store:  # else two commands could both be the first
        trials, terms = store.trials(), store.terms()
        choice = choose(trials, study, number, terms.objective)
        trial, experiment_id = choice.trial, store.experiment_id
        refuse_another_evaluation(study, evaluations(experiment_id, study), again)
        model_id = kept_model(experiment_id, trial.run_id)
        if model_id is None:
            raise without_model(choice)
        config = configuration(choice, root)
        num_open = sum(each.state in (State.WAITING, State.RUNNING) for each in trials)
        if num_open:  # one of them may be better, but could not be tested for the first time
            stderr.print(f'{num_open} of {len(trials)} trials of study "{study}" have not ended.')

        with large_imports():
            from src.evaluation import final_test
            from src.evaluation.model_card import model_card
            from src.model.runtime import set_up
        dataset = final_test.prepare_test(config, trial)
        set_up(config.seed, config.fit.precision, config.fit.deterministic)
        regressor = load_model(model_id)
        final_test.refuse_another_model(regressor, dataset, trial, config, terms)

        elsewhere = num_evaluations_elsewhere(experiment_id, study, trial.data_digest)
        record_evaluation(experiment_id, study, trial.run_id)
        test = final_test.take_test(regressor, dataset, trial, config, terms)
        made = evaluations(experiment_id, study)
        card = model_card(config, terms, choice, test, made, elsewhere)
        run = Run(trial.run_id, experiment_id, is_new=False)
        final_test.log_test(run, test, terms.target, card)
        tags = {names.TRIAL: trial.name, "test_mae": f"{test.metrics[names.TEST_MAE]:.4f}"}
        version = register(model_id, study, card, tags, terms.target)
    return Champion(choice, config, terms, test, len(made), version)
