# make run and make test are all that a fresh machine needs: the first call builds .venv from
# constraints.txt. PIP_ARGS passes options through to pip, for instance
#   make run PIP_ARGS="--extra-index-url URL"
# with the URL of PyTorch's CPU-only packages, which saves gigabytes where there is no GPU.

VENV := .venv
BIN := $(VENV)/bin
PYTHON := $(BIN)/python
INSTALLED := $(VENV)/.installed
PIP_ARGS ?=

# The first interpreter that is new enough; another one: make BASE_PYTHON=/path/to/python
BASE_PYTHON ?= $(shell for candidate in python3.11 python3; do \
	$$candidate -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
	&& echo $$candidate && break; done)

# Replicates are small problems: parallel processes pay, parallel threads only get in each other's way.
ONE_THREAD := OMP_NUM_THREADS=1 MKL_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1
TEST_WORKERS ?= 2

.DEFAULT_GOAL := help
.PHONY: help install run test coverage package lint format docs reference verify bench clean

help:  ## show this list
	@awk -F ':[^#]*  ## ' '/^[a-z]+:.*  ## / { printf "  make %-9s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

install: $(INSTALLED)  ## build .venv (the other targets do it by themselves)

$(INSTALLED): pyproject.toml constraints.txt
	@test -n "$(BASE_PYTHON)" || { echo "Python 3.11 or newer is needed and was not found;\
	 name one with: make BASE_PYTHON=/path/to/python" >&2; exit 1; }
	test -x $(PYTHON) || $(BASE_PYTHON) -m venv $(VENV)
	$(PYTHON) -m pip install -c constraints.txt -e ".[test,dev]" $(PIP_ARGS)
	$(PYTHON) -m compileall -q testbed plugins  # as pip does with what it copies: starts faster
	@touch $@

run: $(INSTALLED)  ## run the quickstart scenario
	$(BIN)/testbed run scenarios/quickstart.toml
	@echo "data:    runs/quickstart/results.nc"
	@echo "figures: runs/quickstart/figures/"

test: $(INSTALLED)  ## run the tests and the examples in the docstrings
	$(ONE_THREAD) $(PYTHON) -m pytest -n $(TEST_WORKERS) --dist worksteal tests
	$(ONE_THREAD) $(PYTHON) -m pytest --doctest-modules testbed plugins

coverage: $(INSTALLED)  ## run the tests, and say which lines of testbed and plugins they reach
	$(ONE_THREAD) $(PYTHON) -m pytest -n $(TEST_WORKERS) --dist worksteal --cov=testbed --cov=plugins \
	 --cov-report=term:skip-covered --cov-report=xml:build/coverage.xml tests
	$(ONE_THREAD) $(PYTHON) -m pytest --doctest-modules testbed plugins

package: $(INSTALLED)  ## build wheel and sdist, install each in a clean environment, run there
	rm -rf dist build/clean build/quickstart
	$(PYTHON) -m hatchling build -d dist
	$(BASE_PYTHON) -m venv build/clean
	build/clean/bin/python -m pip install -q -c constraints.txt dist/*.whl $(PIP_ARGS)
	cd build && clean/bin/testbed run quickstart -o quickstart
	build/clean/bin/python -m pip install -q -c constraints.txt $(PIP_ARGS) \
	 --force-reinstall --no-deps dist/*.tar.gz
	cd build && clean/bin/testbed check quickstart

lint: $(INSTALLED)  ## check style, types and who imports whom
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy testbed plugins
	$(BIN)/lint-imports

format: $(INSTALLED)  ## correct the style
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: $(INSTALLED)  ## build the site into build/site; warnings are errors
	$(PYTHON) -m pip install -q -c constraints.txt -e ".[docs]" $(PIP_ARGS)
	$(BIN)/sphinx-build -W --keep-going -q -b html docs build/site
	@echo "site: build/site/index.html"

reference: $(INSTALLED)  ## write the reference page of the scenario language and its schema
	$(BIN)/testbed schema > docs/scenario.schema.json
	$(BIN)/testbed schema --page > docs/scenario-reference.md

verify: $(INSTALLED)  ## run all scenarios at full size (hours): writes docs/results.md from verdicts
	$(PYTHON) benchmarks/verify

bench: $(INSTALLED)  ## measure speed (every benchmarks/bench_*.py)
	@set -e; for script in $(sort $(wildcard benchmarks/bench_*.py)); do \
		echo "$$script"; $(PYTHON) $$script; done

clean:  ## remove caches and builds (keeps .venv and runs)
	rm -rf dist build .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find testbed plugins tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} + 2>/dev/null || true
