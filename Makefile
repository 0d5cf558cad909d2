# Few targets; each keeps the environment in .venv and reuses it. `make help` lists them.
SHELL := bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

# Nothing we run reports home (tests/test_no_telemetry.py proves it).
export DO_NOT_TRACK = 1
export SODA_CORE_TELEMETRY_ENABLED = false
export DBT_SEND_ANONYMOUS_USAGE_STATS = false

.PHONY: help demo test test-all up lint lint-python lint-sql format bench lock clean

help: ## say what each target does
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-9s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(READY) ## simulate a company's sources, run the platform on DuckDB, print the key figures
	@$(BIN)/sluice demo

# Tests wait for servers and for processes of their own: three at a time keep two cores busy.
test: lint ## lint, then the whole test suite
	@echo "→ tests"
	@$(BIN)/python -m pytest --numprocesses 3 --dist loadfile --no-loadscope-reorder

test-all: lint ## the same, and every visit of the crash matrix
	@echo "→ tests, all of them"
	@SLUICE_TEST_ALL=1 $(BIN)/python -m pytest

up: $(READY) ## Dagster's UI and daemon on a free port, which it prints
	@$(BIN)/sluice up

lint: $(READY) ## ruff, mypy --strict, yamllint, check files, sqlfluff
	@$(MAKE) --no-print-directory --jobs 2 lint-python lint-sql

lint-python: $(READY)
	@echo "→ ruff"
	@$(BIN)/ruff check --quiet .
	@$(BIN)/ruff format --check --quiet .
	@echo "→ mypy"
	@$(BIN)/mypy --no-error-summary
	@echo "→ yamllint"
	@$(BIN)/yamllint --strict .
	@echo "→ check files"
	@$(BIN)/python -m quality

lint-sql: $(READY)
	@echo "→ sqlfluff"
	@mkdir -p data && SLUICE_WORKSHOP=$(CURDIR)/data/lint.duckdb DBT_TARGET_PATH=$(CURDIR)/data/lint $(BIN)/sqlfluff lint --disable-progress-bar dbt_project/models \
		2> >(grep -v -e nanobind -e '^ - ' >&2)

format: $(READY) ## let ruff format the Python
	@$(BIN)/ruff check --fix --quiet .
	@$(BIN)/ruff format --quiet .

bench: $(READY) ## ratios of speed and memory; results are kept in benchmarks/results
	@$(BIN)/python -m benchmarks

lock: $(READY) ## pin every dependency anew (needs uv on the PATH)
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
		--no-strip-extras --no-emit-index-url --extra dev --extra remote \
		pyproject.toml --output-file requirements.lock

clean: ## remove what runs have made (data, Dagster's home), keep the environment
	rm -rf data .dagster

$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; v = sys.version_info; \
		sys.exit(None if (3, 11) <= v < (3, 14) else f"Sluice needs Python 3.11, 3.12 or 3.13; {sys.executable} is {v[0]}.{v[1]}. Try: make PYTHON=python3.12")'
	@echo "→ environment in $(VENV): 210 packages, two to five minutes the first time"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --disable-pip-version-check --no-deps --require-hashes --requirement requirements.lock 2>&1 \
		| awk '/^Collecting /{n++; printf "\r  %d packages found", n; fflush()} /^Installing/{printf "\n  installing …\n"; fflush()} /ERROR/{print; fail=1} END{exit fail}'
	@$(BIN)/python -m pip install --disable-pip-version-check --quiet --no-deps --no-build-isolation --editable .
	@touch $(READY)
