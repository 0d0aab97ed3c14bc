# make demo    set up, evaluate a shipped mapping, print the table, write out/demo.csv
# make test    set up, check style and types, run all tests
# make coverage   run all tests with coverage, which takes longer
# make kernels   set up, compile the kernels that tests share, unless they are there
# make quick   set up, run small cases through every kernel as plain Python, with coverage of the kernels
# make docs    set up, build the documentation into site/
# make dist-check   build wheel and sdist, check them, install the wheel and evaluate from an empty folder
# make bench   print speeds, and keep them in $(BENCH_DIR) under the commit
# make bench-compare BASE=COMMIT   compare speeds with another commit, measured in turn
# make example-training   train on handwritten digits, evaluate what was recorded: out/example_training/report.md
# make example-less   the same with 2:4 weights and with dense and sparse parts in turn: out/example_less/report.md
# make clean   remove what these made

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
LOCK := tools/requirements.lock
# What tests install; without torch, whose tests are then skipped: make test EXTRAS=test,lint
EXTRAS := test,lint,plot,torch,example
# Where make bench keeps what it measured
BENCH_DIR ?= .bench
# What make bench-compare compares with
BASE ?= HEAD^

.DELETE_ON_ERROR:
.PHONY: demo test run-tests coverage quick lint kernels docs dist-check bench bench-compare example-training example-less clean

demo: $(VENV)/.runtime
	@mkdir -p out
	$(BIN)/procrustes evaluate procrustes_16x16 vgg_s/conv3_2 procrustes_16x16/vgg_s_conv3_2_kn --csv out/demo.csv

TESTS := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --dist loadgroup

test: $(VENV)/.development
	$(MAKE) --jobs=2 lint kernels
	$(MAKE) run-tests

run-tests: $(VENV)/.development
	$(TESTS)

coverage: $(VENV)/.development
	$(TESTS) --cov --cov-report=term

quick: $(VENV)/.development
	OMP_NUM_THREADS=1 NUMBA_DISABLE_JIT=1 $(BIN)/python -m pytest -n auto -m quick \
		--cov --cov-config=tools/quick.coveragerc --cov-report=term

lint: $(VENV)/.development
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(BIN)/python -m pytest --quiet tests/test_imports.py

kernels: $(VENV)/.development
	$(BIN)/python -m tests.warm

docs: $(VENV)/.docs
	NO_MKDOCS_2_WARNING=1 PYTHONPATH=. $(BIN)/python -m mkdocs build --strict
	@echo "Wrote site/index.html"

# DIST=--offline downloads nothing; by default every Python from 3.11 to 3.13 that is found is tried
dist-check: $(VENV)/.development
	$(BIN)/python tools/check_distribution.py $(DIST)

example-training: $(VENV)/.development
	OMP_NUM_THREADS=1 $(BIN)/python tools/example_training.py out/example_training

example-less: $(VENV)/.development
	OMP_NUM_THREADS=1 $(BIN)/python tools/example_less.py out/example_less

bench: $(VENV)/.development
	$(BIN)/python tools/bench.py --json "$(BENCH_DIR)/{commit}.json"

bench-compare: $(VENV)/.development
	$(BIN)/python tools/bench_commits.py $(BASE)

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed; name one with: make PYTHON=/path/to/python3" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.runtime: $(BIN)/python pyproject.toml $(LOCK)
	$(BIN)/python -m pip install --quiet --constraint $(LOCK) --editable .
	@touch $@

$(VENV)/.development: $(BIN)/python pyproject.toml $(LOCK)
	$(BIN)/python -m pip install --quiet --constraint $(LOCK) --editable ".[$(EXTRAS)]"
	@touch $@ $(VENV)/.runtime

$(VENV)/.docs: $(BIN)/python pyproject.toml $(LOCK)
	$(BIN)/python -m pip install --quiet --constraint $(LOCK) --editable ".[docs]"
	@touch $@ $(VENV)/.runtime

clean:
	rm -rf $(VENV) out site build dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis .coverage
