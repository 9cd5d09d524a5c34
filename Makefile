# Plain `make` lists the targets. Everything is installed into .venv, from constraints.txt.

PYTHON ?= python3
VENV := .venv
ifeq ($(OS),Windows_NT)
BIN := $(VENV)/Scripts
else
BIN := $(VENV)/bin
endif
INSTRUCTOR := $(BIN)/instructor

.PHONY: help provision collect test bench format clean

help:  ## list the targets
	@echo "Usage: make TARGET"
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## */  \1\t/' | expand -t 14

provision: $(VENV)/.instructor  ## build the kits of all groups (DATA=folder takes real photographs)
	@$(INSTRUCTOR) provision $(if $(DATA),--data "$(DATA)")

collect: $(VENV)/.instructor  ## read the hand-ins, score them, write the leaderboard (FROM=folder for a USB stick)
	@$(INSTRUCTOR) collect $(if $(FROM),"$(FROM)")

test: $(VENV)/.test  ## check style, run every test, notebooks included
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/python -m pytest -n 2 --dist worksteal

bench: $(VENV)/.test  ## measure what must be fast; writes build/bench.json
	@$(BIN)/python -m tests.benchmarks

format: $(VENV)/.test  ## put the code into its one format
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

clean:  ## remove the environment (build/ stays: it may hold a group's work)
	rm -rf $(VENV)

$(VENV)/.python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "error: $(PYTHON) is older than Python 3.11"; echo "hint: make provision PYTHON=python3.12"; exit 1; }
	@echo "Making the environment $(VENV) (some minutes, once) ..."
	@$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.instructor: $(VENV)/.python pyproject.toml constraints.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[instructor]"
	@touch $@

$(VENV)/.test: $(VENV)/.python pyproject.toml constraints.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[instructor,test]"
	@touch $@ $(VENV)/.instructor
