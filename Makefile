# Every target installs what it needs first; `make help` lists them.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.menagerie-setup
PYTEST := $(BIN)/python -m pytest
ARGS   ?=
ROOMS  := tests/unit tests/contracts tests/component tests/integration

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-models test-e2e test-browser test-faults bench lint format types docs lock clean

help: ## List the targets
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | \
		awk -F '\t' '{ printf "  make %-13s %s\n", $$1, $$2 }'

setup: $(STAMP) ## Make .venv with the `menagerie` command (no-op when nothing changed)

# --no-deps: the file is the whole closure already, so pip need not resolve it a second time.
$(STAMP): constraints.txt pyproject.toml
	@$(PYTHON) -c 'import sys; v = sys.version_info; v >= (3, 11) or sys.exit("Menagerie needs Python 3.11 or newer, and \"$(PYTHON)\" is %d.%d.%d. Install a newer one, or name it: make setup PYTHON=/path/to/python3.11" % v[:3])'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || { \
		rm -rf $(VENV); echo "Could not make $(VENV). On Debian and Ubuntu: apt-get install python3-venv" >&2; exit 1; }
	@echo "Installing the pinned packages into $(VENV); the first time this takes a few minutes"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r constraints.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

demo: $(STAMP) ## Run the whole chain on real images; ARGS="--exit" ends it, ARGS="--images DIR" takes your own
	$(BIN)/menagerie demo $(ARGS)

test: $(STAMP) ## Unit, contract, component and integration tests, on real servers
	$(PYTEST) $(ROOMS) -m "not models" -n 2 --dist worksteal $(ARGS)

test-models: $(STAMP) ## Those of them that train or run networks (minutes)
	$(PYTEST) $(ROOMS) -m models -n 2 --dist worksteal $(ARGS)

test-e2e: $(STAMP) ## The chain end to end (minutes)
	$(PYTEST) tests/e2e -n 2 --dist loadfile $(ARGS)

test-browser: $(STAMP) ## The web page in Chromium; renews the README's picture
	$(PYTEST) tests/browser $(ARGS)

test-faults: $(STAMP) ## Kill every process in turn and compare the counts (many minutes)
	$(PYTEST) tests/faults -n 2 --dist worksteal $(ARGS)

bench: $(STAMP) ## Benchmarks, beside their peers in the same run
	$(PYTEST) tests/benchmarks --override-ini "python_files=bench_*.py" --capture=no $(ARGS)

lint: $(STAMP) ## ruff, formatting, import rules, the project's own AST rules
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(PYTEST) -q tests/unit/test_architecture.py

format: $(STAMP) ## Mend what ruff can mend
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

types: $(STAMP) ## mypy, strict
	$(BIN)/mypy

docs: $(STAMP) ## Write docs/events.md, docs/asyncapi.yaml and golden schemas anew (ARGS=--unreleased: even if a type broke)
	$(BIN)/python -m deploy.catalogue $(ARGS)

lock: $(STAMP) ## Resolve pyproject.toml into constraints.txt anew
	$(BIN)/uv pip compile --universal --generate-hashes --no-emit-index-url --no-emit-find-links --no-header \
		--no-annotate --all-extras -q -o constraints.txt pyproject.toml

clean: ## Remove caches (not .venv, not data directories)
	rm -rf .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis build dist
