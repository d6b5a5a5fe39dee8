# Every target sets up what it needs. `make` alone lists them.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
BENCHMARKS := encoder features scoring towers methods beyond drift systems registry queue serve \
  scale published replay console
INSTALLED := $(VENV)/.installed
# Tests that may run beside each other, in as many processes as there are cores.
BESIDE := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n logical --maxprocesses 4 --dist loadfile
export PYTHONUNBUFFERED := 1
export RAY_USAGE_STATS_ENABLED ?= 0

.DEFAULT_GOAL := help
.PHONY: help install demo check test lint format docs bench prove clean FORCE

help: ## list the targets
	@grep -hE '^[a-z%-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-18s %s\n", $$1, $$2}'

install: $(INSTALLED) ## create .venv and install nacre with the exact versions of constraints.txt

$(INSTALLED): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "expected Python 3.11 or newer, found $$($(PYTHON) -V 2>&1); set PYTHON=/path/to/python3.11"; exit 2; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "installing into $(VENV) (a few minutes the first time)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@

demo: $(INSTALLED) ## learn five domains one after another, serve them, roll back (KEEP=1 keeps serving)
	@$(BIN)/nacre demo $(if $(KEEP),--keep)

check: $(INSTALLED) lint ## lint, then the quick tests: in a minute and a half on two cores
	@$(BESIDE) -m "not ray and not slow"

test: $(INSTALLED) lint ## lint, then run all tests: those that start a Ray one by one, the others beside each other
	@$(BESIDE) -m "not ray"
	@$(BIN)/python -m pytest -m ray --durations=10

lint: $(INSTALLED) ## ruff, mypy and the import contracts
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache

format: $(INSTALLED) ## let ruff rewrite the files
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

docs: $(INSTALLED) ## make the pages that are made from the code: api.md, json.md, reference.md, openapi.json
	@$(BIN)/python -m docs.api
	@$(BIN)/python -m docs.json_page
	@$(BIN)/python -m docs.reference
	@$(BIN)/python -m docs.promised_routes

bench: $(INSTALLED) ## run every benchmark
	@status=0; for name in $(BENCHMARKS); do \
	  $(BIN)/python -m benchmarks.$$name || status=1; done; exit $$status

bench-%: $(INSTALLED) FORCE ## run one benchmark, for instance bench-encoder
	@$(BIN)/python -m benchmarks.$*

prove-%: $(INSTALLED) FORCE ## run one long proof, for instance prove-registry
	@$(BIN)/python -m tests.prove.$*

train-tiny-clip: $(INSTALLED) ## train the encoder that ships with the repository again
	@$(BIN)/python -m training.tiny_clip

train-tiny-vit: $(INSTALLED) ## train the second encoder, a vision transformer, again
	@$(BIN)/python -m training.tiny_vit

clean: ## remove everything that was built or installed here
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis \
	  .import_linter_cache .nacre-demo benchmarks/out
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

FORCE:
