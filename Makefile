# `make run` starts Pulsewire from a fresh clone; `make test` and `make check` are what CI runs.
# Stamps in .venv tell what is installed, so that a second call is quick; `rm -rf .venv` starts over.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory
unexport PYTHONDONTWRITEBYTECODE # compiled files halve the time to start

VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --no-input
INSTALLED := $(VENV)/.stamp-installed
DEVELOPED := $(VENV)/.stamp-developed
BROWSER := $(VENV)/.stamp-browser
LOCK := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	--no-emit-find-links --no-annotate --custom-compile-command "make lock" pyproject.toml

.PHONY: help install run test faults fuzz check bench canvas lock

help: ## list what can be made
	@grep -E '^[a-z]+:.*##' Makefile | sed -E 's/^([a-z]+):.*## /  make \1\t/'

install: $(INSTALLED) ## set up .venv with what Pulsewire needs to run

run: $(INSTALLED) ## serve Pulsewire; PULSEWIRE_PORT and the like are obeyed
	@exec $(BIN)/pulsewire serve

test: $(DEVELOPED) $(BROWSER) ## run every test, browser and faults included
	$(BIN)/python -m pytest -n 2 --dist loadfile

faults: $(DEVELOPED) ## kill, pause, lock, fill and cut the power, a thousand times over; takes an hour
	@PULSEWIRE_FAULT_KILLS=1000 PULSEWIRE_FAULT_POINTS=20 PULSEWIRE_FAULT_PAUSES=200 PULSEWIRE_FAULT_CUTS=1000 \
		PULSEWIRE_FAULT_LOCKED_S=60 PULSEWIRE_FAULTS=long $(BIN)/python -m pytest -m faults --timeout 7200 -v --no-header

fuzz: $(DEVELOPED) ## look for expressions that do harm, for PULSEWIRE_FUZZ_S seconds (600)
	@$(PIP) install --quiet --require-hashes -r requirements-fuzz.lock || echo "atheris is not to be had for this Python" >&2
	$(BIN)/python -m tests.fuzz_expressions

check: $(DEVELOPED) ## lint, layout and types
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

bench: $(DEVELOPED) ## measure the reference flow
	$(BIN)/python benchmarks/reference_flow.py

canvas: ## build the canvas script again; only those who change it need this
	cd static/canvas && npm ci --no-audit --no-fund && npm run build

lock: $(DEVELOPED) ## choose the newest versions that pyproject.toml allows
	$(LOCK) --group build --upgrade --output-file requirements.lock
	$(LOCK) --group build --group dev --constraint requirements.lock --upgrade --output-file requirements-dev.lock
	$(LOCK:pyproject.toml=) --group fuzz --upgrade --output-file requirements-fuzz.lock
	@! grep -nE '://|^ *--(index|extra-index|find-links)' requirements.lock requirements-dev.lock requirements-fuzz.lock

$(BIN)/python:
	@python=$$(for name in $${PYTHON:-python3 python3.14 python3.13 python3.12 python3.11}; do \
		"$$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo "$$name" && break; done || true); \
	if [ -z "$$python" ]; then echo "Pulsewire needs Python 3.11 or newer. Install it, or name it: make PYTHON=…" >&2; exit 1; fi; \
	"$$python" -m venv --clear $(VENV) || { echo "On Debian: apt-get install python3-venv" >&2; rm -rf $(VENV); exit 1; }

$(INSTALLED): requirements.lock pyproject.toml | $(BIN)/python
	$(PIP) install --quiet --require-hashes -r requirements.lock
	$(PIP) install --quiet --no-build-isolation --no-deps --editable .
	@$(BIN)/python -m compileall -q nodes storage backend runtime editor
	@touch $@

$(DEVELOPED): requirements-dev.lock $(INSTALLED)
	$(PIP) install --quiet --require-hashes -r requirements-dev.lock
	@touch $@

$(BROWSER): $(DEVELOPED)
	@if command -v chromium >/dev/null; then :; \
	elif grep -qs '^ID=debian' /etc/os-release && [ "$$(id -u)" = 0 ]; then \
		apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium; \
	elif grep -qs '^ID=debian' /etc/os-release && sudo -n true 2>/dev/null; then \
		sudo apt-get update -qq && sudo DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium; \
	else $(BIN)/playwright install chromium; fi
	@touch $@
