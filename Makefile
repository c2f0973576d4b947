# Two commands are enough: `make run` starts three nodes on this machine, `make test` runs every test.
# Both install what they need; see `make help`.
PY     ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
APT    := chromium postgresql libatomic1 fonts-dejavu-core strace
PIP    := $(BIN)/pip --disable-pip-version-check --no-input
SUDO   := $(shell [ "$$(id -u)" = 0 ] || echo sudo -n)
LOCKED := --extra build --allow-unsafe --strip-extras --generate-hashes --no-header \
          --no-emit-index-url --no-emit-find-links --no-emit-trusted-host

.PHONY: help run test fuzz reliability bench bench-quick lint format lock check-python check-system

help:  ## Show the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: $(VENV)/.run  ## Start the demo federation (three nodes on loopback) and print where to go
	@$(BIN)/veza demo

test: check-system $(VENV)/.dev  ## Run the linters and every test (units, databases, real nodes, browser)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -q -n 3 --dist loadgroup

FUZZ_MINUTES ?= 10

fuzz: $(VENV)/.dev  ## Feed every parser, the API and three nodes with what is wrong for FUZZ_MINUTES (10)
	$(BIN)/python -m tests.fuzz $(FUZZ_MINUTES)

reliability: check-system $(VENV)/.dev  ## Measure what docs/reliability.md reports: one table (about an hour; PARTS="crowd …")
	$(BIN)/python -m benchmarks.reliability $(PARTS)

lint: $(VENV)/.dev  ## Run the linters and the type checker
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(VENV)/.dev  ## Format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# The load of the benchmarks is made by wrk; without it they run and say what they leave out.
BENCH_LOAD = command -v wrk >/dev/null || { echo 'Installing wrk'; $(SUDO) apt-get update -qq && \
	DEBIAN_FRONTEND=noninteractive $(SUDO) apt-get install -y -qq --no-install-recommends wrk; } >/dev/null 2>&1 || \
	echo 'Without wrk nothing served is measured. Run:  sudo apt-get install -y --no-install-recommends wrk'

bench: check-system $(VENV)/.dev  ## Measure what docs/performance.md reports (about half an hour)
	@$(BENCH_LOAD)
	$(BIN)/python -m benchmarks

bench-quick: check-system $(VENV)/.dev  ## The same with smaller sizes and fewer rounds (under five minutes)
	@$(BENCH_LOAD)
	$(BIN)/python -m benchmarks --quick

lock: $(VENV)/.dev  ## Resolve the dependencies anew
	$(BIN)/pip-compile -q $(LOCKED) --upgrade --output-file requirements.lock pyproject.toml
	$(BIN)/pip-compile -q $(LOCKED) --upgrade --extra dev --output-file requirements-dev.lock pyproject.toml

check-python:
	@$(PY) -c 'import sys, ensurepip, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || \
	{ $(SUDO) apt-get update -qq && $(SUDO) apt-get install -y -qq --no-install-recommends python3-venv; } >/dev/null 2>&1 || \
	{ echo 'Needs Python 3.11 or newer with venv. Run:  sudo apt-get install -y python3-venv'; exit 2; }

check-system: check-python
	@present() { command -v chromium && ls /usr/lib/postgresql/*/bin/initdb && ldconfig -p | grep -q libatomic.so.1 && \
	  ls /usr/share/fonts/truetype/dejavu && command -v strace; }; \
	present >/dev/null 2>&1 || \
	{ echo 'Installing $(APT)'; $(SUDO) apt-get update -qq && \
	  DEBIAN_FRONTEND=noninteractive $(SUDO) apt-get install -y -qq --no-install-recommends $(APT); } >/dev/null 2>&1; \
	present >/dev/null 2>&1 || \
	{ echo 'The tests need a browser and PostgreSQL. Run:  sudo apt-get install -y --no-install-recommends $(APT)'; exit 2; }

$(VENV)/.run: pyproject.toml requirements.lock | check-python
	$(PY) -m venv $(VENV)
	$(PIP) install -q --require-hashes -r requirements.lock
	$(PIP) install -q --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/.dev: $(VENV)/.run requirements-dev.lock
	$(PIP) install -q --require-hashes -r requirements-dev.lock
	@touch $@
