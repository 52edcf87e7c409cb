# `make demo` and `make test` set up what they need; everything lives in .venv and .cache, which git ignores.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin

.DEFAULT_GOAL := help
.PHONY: help demo test lint unit clean

help: ## what there is to make
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 18

demo: $(VENV)/run.stamp ## the whole product on a local sandbox cloud, with the sample events
	@$(BIN)/python -m sandbox --demo

test: lint unit ## all checks and tests

lint: $(VENV)/dev.stamp
	@$(BIN)/ruff format --check --quiet .
	@$(BIN)/ruff check --quiet .
	@$(BIN)/mypy --cache-dir .cache/mypy
	@$(BIN)/lint-imports --cache-dir .cache/imports

unit: $(VENV)/dev.stamp
	@$(BIN)/pytest --cov --cov-report=term -o cache_dir=.cache/pytest

clean: ## forget everything that was set up
	rm -rf $(VENV) .cache

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Python 3.11 or newer is needed")'
	@$(PYTHON) -m venv $(VENV)

$(VENV)/run.stamp: pyproject.toml | $(VENV)/bin/python
	@echo "Installing Doorman into $(VENV) ..."
	@$(BIN)/pip install --quiet --quiet --disable-pip-version-check --editable .
	@touch $@

$(VENV)/dev.stamp: pyproject.toml | $(VENV)/bin/python
	@echo "Installing Doorman and its development tools into $(VENV) ..."
	@$(BIN)/pip install --quiet --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@ $(VENV)/run.stamp
