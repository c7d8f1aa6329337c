# What people run. Set-up is part of every target: Python 3.11 to 3.13, make and git are enough.
# PYTHON=/path/to/python3.12 names an interpreter; PYTEST_ARGS= reaches pytest.

.DEFAULT_GOAL := help
VENV ?= .venv
BIN := $(VENV)/bin
export VENV
export PYTHON
export MAKE_GOAL = $(firstword $(MAKECMDGOALS))
PYTEST_ARGS ?=
EXTRAS ?= azure,azure-monitor,qualys
AZURE_SOAK_ARGS ?= --deployments 2000 --digests 300 --shared 400 --workers 3 --kills 40 --kill-every-s 10 --restarts 8 --restart-every-s 30 --disturb-every-s 2 --batches 40 --limit-s 5400
SOAK_ARGS ?= --deployments 5000 --digests 500 --shared 1000 --workers 4 --kills 60 --kill-every-s 2 --batches 10

.PHONY: help demo test check format integration bench soak lock package docs wheels clean set-up set-up-run infra-lint

help: ## Show this list.
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' Makefile

demo: set-up-run ## Judge a deployment event offline with bundled data; ends 0 whatever the verdict.
	@sh tools/demo.sh

test: set-up ## The fast tests.
	$(BIN)/python -m pytest -q -m "not integration" $(PYTEST_ARGS)

check: set-up ## What a commit needs: format, lint, types, import rules, the fast tests.
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/mypy --explicit-package-bases tests plugins/*/tests tools adapters
	$(BIN)/lint-imports
	$(BIN)/python -m pytest -q -m "not integration" $(PYTEST_ARGS)

format: set-up ## Put the code into shape.
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

integration: set-up ## Tests with real parts (registry, Debian root); a missing part is skipped and said.
	$(BIN)/python -m pytest -q -m integration $(PYTEST_ARGS)

bench: set-up ## Every figure of speed, as one table (FULL=1: up to 100,000 deployments).
	@$(BIN)/python benchmarks $(if $(FULL),--full)

soak: set-up ## Kill workers at random while they judge 5,000 deployments, then 2,000 on Azure's parts, then 1,000 scans of a simulated account three times; every promise is checked.
	$(BIN)/python tools/soak.py $(SOAK_ARGS)
	$(BIN)/python tools/azure_soak.py $(AZURE_SOAK_ARGS)
	$(BIN)/python tools/qualys_load.py

lock: set-up ## Write constraints.txt anew: exact versions for every supported Python, no addresses.
	$(BIN)/python tools/lock.py

package: set-up ## Build the zip of the function app into dist/ (EXTRAS= CONFIG=file SETTINGS=file).
	$(BIN)/python tools/package_function.py --extras "$(EXTRAS)" $(if $(CONFIG),--config "$(CONFIG)") $(if $(SETTINGS),--settings "$(SETTINGS)")

infra-lint: set-up ## Check infra/ with checkov (installed into a cache the first time: a minute, 300 MB).
	$(BIN)/python tools/infra_lint.py

docs: set-up ## Build the documentation site into build/docs; a warning, such as a link that leads nowhere, fails it.
	rm -rf build/docs
	$(BIN)/sphinx-build -q -b html -c docs -d build/doctrees -n -W --keep-going . build/docs
	@echo "build/docs/index.html"

wheels: set-up ## Build the wheels of all distributions into dist/.
	$(BIN)/python tools/build_wheels.py dist

set-up: ## Only set up.
	@sh tools/set_up.sh dev

set-up-run:
	@sh tools/set_up.sh run

clean: ## Remove what was made here, the environment too.
	rm -rf "$(VENV)" dist build .demo .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache .coverage htmlcov
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
