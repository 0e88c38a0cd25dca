# Works from a fresh clone on Debian and Ubuntu. Needs: Python 3.11 or later with its headers and
# venv, a C++ compiler, zlib's headers. `make` alone lists the targets.

PYTHON ?= python3
PORT ?= 1026
DATA_DIR ?= ./rigel-data

# Each of them has brokers of its own.
TEST_PROCESSES ?= 4

VENV := .venv
BIN := $(VENV)/bin
# What the compiled parts are made of.
NATIVE := setup.py $(wildcard _native/*.pyx _native/*.pxd _native/*.h _native/*.hpp _native/*/*.hpp)
# Exact versions from the lock; setuptools and Cython too, so the build does without isolation.
INSTALL := $(BIN)/pip install --quiet --constraint requirements.lock
EDITABLE := $(INSTALL) --no-build-isolation --editable
# What is checked, as far as it is there.
CHECKED := ngsi _native broker importer demo loadtests tests rigel.py

export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: help run test asan demo bench figures lint types clean

help:
	@echo 'make run    install into $(VENV) and start a broker (PORT=$(PORT) DATA_DIR=$(DATA_DIR) FLAGS=...)'
	@echo 'make test   everything that CI runs: lint, types, all tests'
	@echo 'make asan   the tests of the compiled core with sanitizers'
	@echo 'make demo   a city at work on a broker of its own'
	@echo 'make bench  the benchmarks'
	@echo 'make figures  all measurements and plots of docs/performance.md: an hour or more'
	@echo 'make lint   style alone; make types, types alone'
	@echo 'make clean  remove what was built and installed (never $(DATA_DIR))'

run: $(VENV)/.installed
	$(BIN)/rigel broker --port $(PORT) --data-dir $(DATA_DIR) $(FLAGS)

test: lint types
	$(BIN)/python -m pytest --numprocesses auto --maxprocesses $(TEST_PROCESSES) --dist loadfile

asan: $(VENV)/.installed-test
	$(BIN)/python tests/sanitizer/run.py

lint: $(VENV)/.installed-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.installed-test
	$(BIN)/mypy --strict $(CHECKED)

demo: $(VENV)/.installed-test
	$(BIN)/python -m demo $(FLAGS)

bench: $(VENV)/.installed-test
	$(BIN)/python loadtests/bench.py $(FLAGS)

# Some of them: make figures FIGURES='esilbops' FLAGS='--max 100000 --resume'
FIGURES ?= bench concurrency latency scaling esilbops queries capacity
figures: $(VENV)/.installed-load
	@mkdir -p loadtests/results docs/figures
	set -e; for name in $(FIGURES); do \
	  $(BIN)/python loadtests/$$name.py --output loadtests/results/$$name.json \
	    --plot docs/figures/$$name.png $(FLAGS); done

clean:
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis
	rm -f _native/*.so _native/*.c _native/*.cpp
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The stamps: setup runs once, and again when what it depends on changes.

$(VENV)/.created:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo '$(PYTHON) is not Python 3.11 or later; name one with make PYTHON=...' >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
	  { echo '$(PYTHON) cannot make environments: apt-get install python3-venv' >&2; exit 1; }
	@$(PYTHON) -c 'import os, sysconfig as s, sys; sys.exit(not os.path.exists(s.get_path("include") + "/Python.h"))' || \
	  { echo '$(PYTHON) has no headers: apt-get install python3-dev' >&2; exit 1; }
	@command -v c++ >/dev/null || command -v g++ >/dev/null || \
	  { echo 'no C++ compiler: apt-get install g++' >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.built: $(VENV)/.created pyproject.toml requirements.lock $(NATIVE)
	$(INSTALL) setuptools cython
	@touch $@

$(VENV)/.installed: $(VENV)/.built
	$(EDITABLE) .
	@touch $@

$(VENV)/.installed-test: $(VENV)/.built
	$(EDITABLE) '.[test,demo,import]'
	@touch $@ $(VENV)/.installed

$(VENV)/.installed-load: $(VENV)/.installed-test
	$(EDITABLE) '.[test,demo,import,load]'
	@touch $@
