"""Names in the tracking store: metrics, tags, states and files.

Every other module takes a name from here, so that a misspelled one fails type checking. Names that
a record already has never change: old stores are read with them.
"""

from enum import StrEnum

# Metrics of an epoch; their step is the epoch, from 1.
TRAIN_MAE = "mae/train"
VAL_MAE = "mae/val"
GAP = "mae/gap"
TRAIN_LOSS = "loss/train"
VAL_LOSS = "loss/val"
RUNNING_LOSS = "loss/running"
LEARNING_RATE = "learning_rate"
TRAIN_SECONDS = "time/train_seconds"
MEASURE_SECONDS = "time/measure_seconds"
EPOCH_SECONDS = "time/epoch_seconds"
IMAGES_PER_SECOND = "time/images_per_second"
EPOCH = "epoch"

# Metrics of a trial.
BEST_VAL_MAE = "best/val_mae"
BEST_TRAIN_MAE = "best/train_mae"
BEST_GAP = "best/gap"
BEST_EPOCH = "best/epoch"
LAST_VAL_MAE = "last/val_mae"
LAST_TRAIN_MAE = "last/train_mae"
LAST_GAP = "last/gap"
MEDIAN_PREDICTOR_MAE = "val/median_predictor_mae"
MEAN_PREDICTOR_MAE = "val/mean_predictor_mae"
TEST_MAE = "test/mae"
TEST_GAP = "test/gap"
TEST_MEDIAN_PREDICTOR_MAE = "test/median_predictor_mae"
SECONDS_PER_EPOCH = "time/seconds_per_epoch"
TOTAL_SECONDS = "time/total_seconds"
TRIAL_SECONDS = "time/trial_seconds"
PEAK_MEMORY = "memory/peak_gib"

# Metrics of a study.
NUM_TRIALS = "study/num_trials"
PLANNED_SECONDS = "plan/predicted_seconds"
ACTUAL_SECONDS = "plan/actual_seconds"

# Tags of a run.
STUDY = "study"
TRIAL = "trial"
KIND = "kind"
STUDY_KIND = "study"  # value of KIND: the parent run of a study
STATE = "state"
CONFIGURATION = "configuration"
CONFIGURATION_HASH = "configuration_hash"
DATA_DIGEST = "data_digest"
INFEASIBLE = "infeasible"
PRUNED = "pruned"
FAILURE = "failure"
ARTIFACT_FAILURE = "artifact_failure"  # of a complete trial: a file that could not be stored
STACKED = "stacked"  # number of trials whose heads trained together
QUESTION = "question"
OBJECTIVE = "objective"  # of a study, with the two that follow
DIRECTION = "direction"
TARGET = "target"  # JSON of the group `target`
TEST_EVALUATION = "test.taken."  # and the evaluation's number
COMMAND = "command"
CAVEAT = "caveat"
PROCESS_HOST = "process.host"
PROCESS_ID = "process.id"
PROCESS_STARTED = "process.started"

# Tags of a trial that a search suggested.
SUGGESTION = "sweep.suggestion"
ASKED = "sweep.asked"
TOLD = "sweep.told"
VALUES = "sweep.values"
REPLICATE = "sweep.replicate"
BRACKET = "sweep.bracket"
RUNG = "sweep.rung"
PROMOTED_FROM = "sweep.promoted_from"
DEFINITION = "sweep.definition"  # of the study

# MLflow's own tags.
NOTE = "mlflow.note.content"
RUN_NAME = "mlflow.runName"
PARENT_RUN = "mlflow.parentRunId"
GIT_COMMIT = "mlflow.source.git.commit"
USER = "mlflow.user"
SOURCE_NAME, SOURCE_TYPE = "mlflow.source.name", "mlflow.source.type"

# Parameters that are no keys of the configuration.
LOG10_LEARNING_RATE = "log10_learning_rate"  # MLflow's axes are linear
NUM_TRAIN, NUM_VAL, NUM_TEST = "num_train", "num_val", "num_test"

# Artifacts of a trial.
CONFIG_FILE = "config.json"
TRACEBACK_FILE = "traceback.txt"
MODEL_CARD_FILE = "model_card.md"
AUDIT_FILE = "audit.csv"
PACKAGES_FILE = "provenance/packages.txt"
MACHINE_FILE = "provenance/machine.json"
GIT_DIFF_FILE = "provenance/git.diff"
LEARNING_CURVE_FILE = "figures/learning_curve.png"
PREDICTIONS_FIGURE_FILE = "figures/predicted_against_true.png"


def predictions_file(part: str) -> str:
    """Returns the name of the table of a part's predictions."""
    return f"predictions/{part}.parquet"


def bands_file(part: str, column: str) -> str:
    """Returns the name of the table of a part's errors by band of the target.

    Args:
        part: `train`, `val` or `test`.
        column: See `TargetConfig.column`.
    """
    return f"metrics/{part}_by_{column}_band.csv"


def study_best(objective: str) -> str:
    """Returns the name of a study's metric: the objective of its best trial."""
    return f"study/{objective.replace('/', '_')}"


def low(metric: str) -> str:
    """Returns the name of the lower end of a metric's 95 % interval."""
    return f"{metric}_low"


def high(metric: str) -> str:
    """Returns the name of the upper end of a metric's 95 % interval."""
    return f"{metric}_high"


class State(StrEnum):
    """State of a trial or study, as its tag `state` gives it.

    An interrupted trial is WAITING: the command that started it continues it.
    """

    WAITING = "WAITING"
    RUNNING = "RUNNING"
    COMPLETE = "COMPLETE"
    PRUNED = "PRUNED"
    FAILED = "FAILED"
