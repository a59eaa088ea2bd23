# Each recipe is a line that a person could type; `make` alone lists them.
PYTHON ?= python3
# Locked set of packages: requirements.lock (CPU), or requirements-gpu.lock.
LOCK ?= requirements.lock
DATA ?= sample
# Folder of the faces, for every DATA but sample.
ROOT ?=
# A file of conf/sweep/, and the launcher of its trials: processes, joblib or basic.
SWEEP ?= small
LAUNCHER ?= processes
# Trials at a time: tracing a model keeps one core busy, training two.
JOBS ?= 2
# Name of a study; a sweep file has its own.
STUDY ?=
TRIAL ?=
# Port of MLflow's page; empty: MLFLOW_PORT, or 5000.
PORT ?=
# Some of: trial_cost frozen_backbone input_pipeline logging_cost choices growth; empty: all.
BENCH ?=

study = $(if $(STUDY),"study=$(STUDY)")
launcher = hydra/launcher=$(LAUNCHER) $(if $(filter-out basic,$(LAUNCHER)),hydra.launcher.n_jobs=$(JOBS))
faces = data=$(DATA) $(if $(ROOT),data.root=$(ROOT))

export PATH := $(CURDIR)/.venv/bin:$(PATH)

.DEFAULT_GOAL := help
.PHONY: help setup eda sweep plan trial trials report replay champion caches bench test fast-test lint ui lock clean

help:  ## List the commands
	@awk -F ':.*## ' '/^##@/ {printf "\n%s\n", substr($$0, 5)} /^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

##@ Look at data
eda: setup  ## Write the page of a data set: labels, pictures, faults, split (DATA=labels_csv ROOT=<folder>)
	python -m src.eda $(faces)

##@ Run
sweep: setup  ## Run a study, or the missing part of it (SWEEP=small DATA=labels_csv ROOT=<folder>)
	python -m src.train -m +sweep=$(SWEEP) $(launcher) $(faces) $(study)

plan: setup  ## Predict the cost of a study: trials, time, disk (SWEEP=hyperband)
	python -m src.train -m +sweep=$(SWEEP) $(launcher) $(faces) $(study) hydra.sweeper.mode=plan

trial: setup  ## Train one trial of the seed study (TRIAL=3)
	python -m src.train +trial=$(or $(TRIAL),3) $(faces) study=seed $(study)

replay: setup  ## Run a recorded trial again (STUDY=small TRIAL=3)
	@test -n "$(STUDY)" -a -n "$(TRIAL)" || { echo 'error: make replay needs a study and a trial. Received: STUDY=$(STUDY) TRIAL=$(TRIAL). Fix: make replay STUDY=small TRIAL=3'; exit 2; }
	python -m src.replay "$(STUDY)" $(TRIAL)

##@ Compare
trials: setup  ## List a study's trials (STUDY=small), or all studies
	python -m src.trials $(if $(STUDY),"$(STUDY)")

report: setup  ## Compare a study's trials: experiments/<study>/ and MLflow (STUDY=small)
	@test -n "$(STUDY)" || { echo 'error: make report needs a study. Received: STUDY=. Fix: make report STUDY=small'; exit 2; }
	python -m src.report "$(STUDY)" $(if $(CLAIMS),--claims $(CLAIMS))

ui: setup  ## Open MLflow's page at all runs, or at a study's charts (STUDY=small PORT=5001)
	python -m src.ui $(if $(STUDY),"$(STUDY)") $(if $(PORT),--port $(PORT))

##@ Use
champion: setup  ## Test a study's best trial on the test part, once, and register its model (STUDY=small)
	@test -n "$(STUDY)" || { echo 'error: make champion needs a study. Received: STUDY=. Fix: make champion STUDY=lr_batch_dropout'; exit 2; }
	python -m src.champion "$(STUDY)" $(if $(TRIAL),--trial $(TRIAL)) $(if $(ROOT),--root "$(ROOT)") $(if $(filter-out 0,$(AGAIN)),--again)

##@ Keep house
setup: .venv/$(LOCK).installed  ## Make .venv with the locked packages (LOCK=requirements-gpu.lock for a GPU)

# The lock names everything; without --no-deps an older pip asks for newer releases and refuses them.
.venv/$(LOCK).installed: $(LOCK)
	@$(PYTHON) -c 'import sys; (3, 11) <= sys.version_info < (3, 14) or sys.exit("Python 3.11 to 3.13 is needed. Received: %d.%d (PYTHON=$(PYTHON)). Fix: make PYTHON=python3.11" % sys.version_info[:2])'
	$(PYTHON) -m venv .venv
	.venv/bin/pip install --quiet --require-hashes --no-deps -r $(LOCK)
	@touch $@

caches: setup  ## List caches and checkpoints on disk, and free them (EVICT=<name>, EVICT=all)
	python -m src.caches $(if $(EVICT),--evict "$(EVICT)")

test: setup lint  ## Check style and types, and run all tests
	pytest --numprocesses 2 --dist worksteal --cov=src --cov-report=term:skip-covered

fast-test: setup  ## Run the tests that need no TensorFlow and no browser
	pytest --numprocesses 2 -m "not slow"

lint: setup  ## Check style and types
	ruff check --quiet
	ruff format --check --quiet
	mypy --no-error-summary

bench: setup  ## Measure times against the usual alternatives: experiments/benchmarks/
	python -m tests.benchmarks $(BENCH)
	python -m tests.benchmarks.asha_against_grid
	python -m tests.benchmarks.report_time

lock: setup  ## Resolve pyproject.toml into the two lock files (needs uv)
	uv pip compile pyproject.toml --extra dev --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate --quiet -o requirements.lock
	uv pip compile pyproject.toml --extra dev --extra gpu --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate --quiet -o requirements-gpu.lock

clean:  ## Remove caches of pictures and tools; runs and their results stay
	rm -rf .cache .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage
