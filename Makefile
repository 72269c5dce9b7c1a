# Needs Python 3.11 or later and make, nothing else: the environment, uv included, is made from uv.lock.

VENV ?= .venv
PYTHON ?=
PY = "$(VENV)/bin/python"
STAMP = $(VENV)/.synced-with-lock

export UV_PROJECT_ENVIRONMENT = $(VENV)
export UV_PYTHON_DOWNLOADS = never

.DEFAULT_GOAL := help
.PHONY: help setup demo test contract lint format types check bench fidelity lock clean

help:  ## Show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-9s %s\n", $$1, $$2 }' Makefile

setup: $(STAMP)  ## Make the environment in .venv from uv.lock

$(STAMP): uv.lock pyproject.toml
	@set -eu; \
	if [ ! -x $(PY) ]; then \
	  found=; \
	  for candidate in $(PYTHON) python3 python3.14 python3.13 python3.12 python3.11 python; do \
	    if "$$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then \
	      found=$$candidate; break; \
	    fi; \
	  done; \
	  if [ -z "$$found" ]; then \
	    echo "No Python 3.11 or later found. Install one, or name it: make PYTHON=/path/to/python3" >&2; exit 1; \
	  fi; \
	  echo "Making $(VENV) with $$("$$found" --version)"; \
	  "$$found" -m venv "$(VENV)" || { \
	    rm -rf "$(VENV)"; \
	    echo "Python's venv module does not work here (on Debian and Ubuntu: apt install python3-venv)" >&2; exit 1; \
	  }; \
	fi; \
	version=$$(sed -n '/^name = "uv"$$/{n;s/^version = "\(.*\)"$$/\1/p;}' uv.lock); \
	$(PY) -m uv --version >/dev/null 2>&1 || $(PY) -m pip install --quiet --disable-pip-version-check "uv==$$version"; \
	$(PY) -m uv sync --locked --quiet
	@touch "$@"

demo: setup  ## Run an MCP client against the server and a simulated cluster
	@$(PY) -m proxmox_mcp.demo

test: setup  ## Run all tests
	$(PY) -m pytest

contract: setup  ## Run the scenarios' contracts only
	$(PY) -m pytest tests/contract

lint: setup  ## Check style with ruff
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .

format: setup  ## Let ruff format the code and fix what it can
	$(PY) -m ruff format .
	$(PY) -m ruff check --fix .

types: setup  ## Check types with mypy --strict
	$(PY) -m mypy --strict -p pvesim -p proxmox_mcp

check: lint types test  ## Everything a change must pass

bench: setup  ## Measure against the targets (quiet machine, please)
	$(PY) -m bench

fidelity: setup  ## Compare with recordings of a genuine node: make fidelity KIT=folder
	$(PY) -m bench.fidelity "$(KIT)" $(FLAGS)

lock: setup  ## Refresh uv.lock after a change of pyproject.toml
	$(PY) -m uv lock

clean:  ## Remove the environment and all caches
	rm -rf "$(VENV)" .nox .mypy_cache .pytest_cache .ruff_cache .hypothesis build dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
