# What a newcomer needs: `make run`, `make test`. What a developer needs: `make check`, `make bench`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
ARGS ?=

# GPU libraries where a GPU is listed, else the small CPU set.
EXTRA := $(shell nvidia-smi -L 2>/dev/null | grep -q GPU && echo gpu || echo cpu)
PIP := $(BIN)/python -m pip install -qq --disable-pip-version-check -c constraints.txt

.PHONY: run test check bench cover fuzz kernel-test install dev clean

run: install
	@exec $(BIN)/vcsharp run $(ARGS)

test: dev
	$(BIN)/pytest $(ARGS)

check: dev
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python tests/release.py

bench: dev
	@$(BIN)/vcsharp bench $(ARGS)
	@$(BIN)/python tests/bench/test_fast_paths.py

cover: dev
	$(BIN)/coverage run -m pytest && $(BIN)/coverage combine -q && $(BIN)/coverage report

# Ten thousand damaged inputs for every parser that faces outside; `make fuzz CASES=100` is a glance.
CASES ?= 10000
fuzz: dev
	VCSHARP_FUZZ_CASES=$(CASES) $(BIN)/pytest tests/fuzz $(wildcard tests/control/test_api_fuzz.py) --durations=0 $(ARGS)

# The program on a real kernel, in a guest that is built first: docs/kernel-tests.md.
kernel-test: $(VENV)/python
	@$(BIN)/python tests/kernel/run.py $(ARGS)

install: $(VENV)/installed-$(EXTRA)
dev: $(VENV)/installed-dev

$(VENV)/installed-$(EXTRA): $(VENV)/python pyproject.toml constraints.txt
	@echo "installing vcsharp[$(EXTRA)] into $(VENV) ..."
	@$(PIP) -e '.[$(EXTRA)]'
	@touch $@

$(VENV)/installed-dev: $(VENV)/python pyproject.toml training/pyproject.toml constraints.txt
	@echo "installing vcsharp, its training package and the developers' tools into $(VENV) ..."
	@$(PIP) --upgrade 'pip>=25.1'
	@$(PIP) -e '.[cpu,torch]' -e ./training --group dev
	@touch $@

# One line for each thing that may be missing, instead of a traceback.
$(VENV)/python:
	@command -v $(PYTHON) >/dev/null || { echo "vcsharp needs Python 3.11 or newer: install python3 (Debian: apt install python3 python3-venv)" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "vcsharp needs Python 3.11 or newer, '$(PYTHON)' is older: install it, then make PYTHON=python3.11" >&2; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { echo "vcsharp needs Python's venv module: install it (Debian: apt install python3-venv)" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV)
	@touch $@

clean:
	rm -rf $(VENV) build dist *.egg-info training/*.egg-info
