# Each recipe is a line that a person could type; `make` alone lists them.
PYTHON ?= python3
# Which locked set of packages: requirements.lock (CPU), or requirements-gpu.lock.
LOCK ?= requirements.lock
DATA ?= sample
# Folder of the faces, for every DATA but sample.
ROOT ?=
# A file of conf/sweep/, and what runs its trials: processes, joblib or basic.
SWEEP ?= small
LAUNCHER ?= processes
# Trials at a time: tracing a model keeps one core busy, training two.
JOBS ?= 2
# Name of a study; a sweep file has its own.
STUDY ?=
TRIAL ?=
# Some of: trial_cost frozen_backbone input_pipeline logging_cost choices growth; empty: all.
BENCH ?=

study = $(if $(STUDY),"study.name=$(STUDY)")
launcher = hydra/launcher=$(LAUNCHER) $(if $(filter-out basic,$(LAUNCHER)),hydra.launcher.n_jobs=$(JOBS))
faces = data=$(DATA) $(if $(ROOT),data.root=$(ROOT))

export PATH := $(CURDIR)/.venv/bin:$(PATH)

.DEFAULT_GOAL := help
.PHONY: help setup eda sweep plan trial trials report replay champion caches bench test fast-test lint ui lock clean

help:  ## List the commands
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-10s %s\n", $$1, $$2}'

setup: .venv/$(LOCK).installed  ## Make .venv with the locked packages (LOCK=requirements-gpu.lock for a GPU)

# The lock names everything; without --no-deps an older pip asks for newer releases and refuses them.
.venv/$(LOCK).installed: $(LOCK)
	@$(PYTHON) -c 'import sys; (3, 11) <= sys.version_info < (3, 14) or sys.exit("Python 3.11 to 3.13 is needed. Received: %d.%d (PYTHON=$(PYTHON)). Fix: make PYTHON=python3.11" % sys.version_info[:2])'
	$(PYTHON) -m venv .venv
	.venv/bin/pip install --quiet --require-hashes --no-deps -r $(LOCK)
	@touch $@

eda: setup  ## Look at a data set: ages, pictures, faults, split (DATA=labels_csv ROOT=<folder>)
	python -m src.eda $(faces)

sweep: setup  ## Run a study, or what is missing of it (SWEEP=small DATA=labels_csv ROOT=<folder>)
	python -m src.train -m +sweep=$(SWEEP) $(launcher) $(faces) $(study)

plan: setup  ## Say what a study would cost: trials, time, disk (SWEEP=hyperband)
	python -m src.train -m +sweep=$(SWEEP) $(launcher) $(faces) $(study) hydra.sweeper.mode=plan

trial: setup  ## Train one trial of the seed study (TRIAL=3)
	python -m src.train +trial=$(or $(TRIAL),3) $(faces) study=seed $(study)

trials: setup  ## List a study's trials (STUDY=small), or all studies
	python -m src.trials $(if $(STUDY),"$(STUDY)")

report: setup  ## Compare a study's trials: experiments/<study>/ and MLflow (STUDY=small)
	@test -n "$(STUDY)" || { echo 'error: make report needs a study. Received: STUDY=. Fix: make report STUDY=small'; exit 2; }
	python -m src.report "$(STUDY)" $(if $(CLAIMS),--claims $(CLAIMS))

replay: setup  ## Run a trial of any study again (STUDY=small TRIAL=3)
	@test -n "$(STUDY)" -a -n "$(TRIAL)" || { echo 'error: make replay needs a study and a trial. Received: STUDY=$(STUDY) TRIAL=$(TRIAL). Fix: make replay STUDY=small TRIAL=3'; exit 2; }
	python -m src.replay "$(STUDY)" $(TRIAL)

champion: setup  ## Test a study's best trial on the test part, once, and register it (STUDY=…)
	@test -n "$(STUDY)" || { echo 'error: make champion needs a study. Received: STUDY=. Fix: make champion STUDY=lr_batch_dropout'; exit 2; }
	python -m src.champion "$(STUDY)" $(if $(TRIAL),--trial $(TRIAL)) $(if $(ROOT),--root "$(ROOT)") $(if $(filter-out 0,$(AGAIN)),--again)

caches: setup  ## List what trials share on disk, and free it (EVICT=<name>, EVICT=all)
	python -m src.caches $(if $(EVICT),--evict $(EVICT))

bench: setup  ## Time everything against what one would do otherwise: experiments/benchmarks/
	python -m tests.benchmarks $(BENCH)
	python -m tests.benchmarks.asha_against_grid
	python -m tests.benchmarks.report_time

test: setup lint  ## Check style and types, and run all tests
	pytest --numprocesses 2 --dist worksteal --cov=src --cov-report=term:skip-covered

fast-test: setup  ## Run the tests that need no TensorFlow and no browser
	pytest --numprocesses 2 -m "not slow"

lint: setup  ## Check style and types
	ruff check --quiet
	ruff format --check --quiet
	mypy --no-error-summary

ui: setup  ## Open MLflow's page at all runs, or at a study's charts (STUDY=small)
	python -m src.ui $(if $(STUDY),"$(STUDY)")

lock: setup  ## Resolve pyproject.toml into the two lock files (needs uv)
	uv pip compile pyproject.toml --extra dev --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate --quiet -o requirements.lock
	uv pip compile pyproject.toml --extra dev --extra gpu --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate --quiet -o requirements-gpu.lock

clean:  ## Remove decoded pictures and caches of tools; runs and their results stay
	rm -rf .cache .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage
