# Every target sets up what it needs. `make` alone lists them.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
BENCHMARKS := encoder features scoring towers methods beyond drift systems registry queue serve \
  scale published replay console counting tracing advice
INSTALLED := $(VENV)/.installed
CORES = $(shell $(PYTHON) -c 'import os; print(os.cpu_count() or 1)')
# Tests wait nearly as long as they compute, so that one process more than cores keeps these busy.
OTHERS = OMP_NUM_THREADS=1 $(BIN)/python -m pytest --maxprocesses 6 --dist loadfile --no-loadscope-reorder
# Those that start a Ray go one by one: Ray computes in processes of its own, and gives up where they
# starve. They wait for it much of the time, and the others use that time, as whoever comes last.
# Of all files only these are read for it.
WITH_RAY = $(shell grep -rlE 'mark\.ray\b' tests --include='test_*.py')
BESIDE := .tests-beside.log
export PYTHONUNBUFFERED := 1
# Else every process compiles all that it loads, and pytest rewrites all tests, each time.
unexport PYTHONDONTWRITEBYTECODE
export RAY_USAGE_STATS_ENABLED ?= 0

.DEFAULT_GOAL := help
.PHONY: help install demo check test beside lint style types format docs bench prove clean FORCE

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
	@$(OTHERS) -n $(shell expr 1 + $(CORES)) -m "not ray and not slow"

test: $(INSTALLED) style ## all checks and tests: those that start a Ray one by one, the others beside them
	@echo "types and tests without Ray go on beside those with it: tail -f $(BESIDE)"
	@nice -n 10 $(MAKE) --no-print-directory beside > $(BESIDE) 2>&1 & beside=$$!; \
	  trap 'kill $$beside 2> /dev/null; exit 130' INT TERM; \
	  $(BIN)/python -m pytest -m ray --durations=10 $(WITH_RAY); ray=$$?; \
	  echo "waiting for the tests without Ray"; wait $$beside; others=$$?; cat $(BESIDE); \
	  echo "tests with Ray ended with $$ray, types and tests without with $$others"; \
	  test "$$ray$$others" = 00

beside: $(INSTALLED) types
	@$(OTHERS) -n $(CORES) -m "not ray"

lint: style types ## ruff, the import contracts and mypy

style: $(INSTALLED)
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/lint-imports --no-cache

types: $(INSTALLED)
	@$(BIN)/mypy

format: $(INSTALLED) ## let ruff rewrite the files
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

docs: $(INSTALLED) ## make what is made from the code: the pages, openapi.json, the dashboard, the chart's values
	@$(BIN)/python -m docs.api
	@$(BIN)/python -m docs.json_page
	@$(BIN)/python -m docs.reference
	@$(BIN)/python -m docs.promised_routes
	@$(BIN)/python -m deploy.helm.make
	@$(BIN)/python -m docs.dashboards

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
	  .import_linter_cache .nacre-demo benchmarks/out $(BESIDE)
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

FORCE:
