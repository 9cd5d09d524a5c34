# Plain `make` lists the targets. Everything is installed into .venv, from constraints.txt: by uv, or by pip (PIP=1).

# What is imported is compiled once, also where an account's settings forbid it: hundreds of programs are started here.
export PYTHONDONTWRITEBYTECODE :=

PYTHON ?= python3
VENV := .venv
ifeq ($(OS),Windows_NT)
BIN := $(VENV)/Scripts
else
BIN := $(VENV)/bin
endif
INSTRUCTOR := $(BIN)/instructor
# A PYTHON that was asked for is the environment's; without one, the environment that is there will do.
SETUP := $(PYTHON) lab_code/workshop/environment.py $(if $(PIP),--pip) $(if $(filter-out file,$(origin PYTHON)),--this-python)

# While one writes: what neither trains, nor builds kits, nor opens a notebook or a browser. CONTRIBUTING.md says what is left out.
FAST_TESTS := -m "not slow and not workshop" tests/test_layering.py tests/test_paths.py tests/test_project.py \
	$(addprefix tests/lab_code/,data workshop test_config.py test_limits.py test_metrics.py test_models_and_losses.py)

.PHONY: help provision rehearse collect film test lint style bench pictures format clean python for-instructor for-media for-tests

help:  ## list the targets
	@echo "Usage: make TARGET"
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## */  \1\t/' | expand -t 14

provision: for-instructor  ## build the kits of all groups (DATA=folder: real photographs; TO=stick's folder, ssh, archives, hub: deliver)
	@$(INSTRUCTOR) provision $(if $(DATA),--data "$(DATA)")
	@case "$(TO)" in \
	  "") ;; \
	  ssh|archives|hub) $(INSTRUCTOR) deliver "$(TO)" ;; \
	  *) $(INSTRUCTOR) deliver stick "$(TO)" ;; \
	esac

rehearse: for-instructor  ## the whole class once, by simulated groups (FAST=1: minutes; LAPTOPS=doctor.json files; DATA as above)
	@$(INSTRUCTOR) rehearse $(if $(FAST),--fast) $(if $(LAPTOPS),--laptops "$(LAPTOPS)") $(if $(DATA),--data "$(DATA)")

collect: for-instructor  ## read the hand-ins, score them, write the leaderboard (FROM=folder for a USB stick)
	@$(INSTRUCTOR) collect $(if $(FROM),"$(FROM)")

film: for-media $(if $(RECORD),for-tests)  ## build the film about the GPU server (SCENE=one alone; RECORD=1: type and record every scene anew)
	@$(if $(RECORD),$(BIN)/python -m tests.film_recorder)
	@$(INSTRUCTOR) film $(if $(SCENE),--scene "$(SCENE)")

# Three processes for two cores: a third of the tests' time is waiting, for other programs and for disks.
# mypy is one of the tests (tests/test_types.py): alone before them it would leave a core idle.
test: $(if $(FAST),lint,style)  ## style, format, types and every test, notebooks included (FAST=1: what answers within a minute)
	@$(BIN)/python -m pytest -n 3 --dist worksteal $(if $(FAST),$(FAST_TESTS))

lint: style  ## style, format, types
	@$(BIN)/mypy

style: for-tests
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

bench: for-tests  ## measure what must be fast; writes build/bench.json (FULL=1: what takes a quarter of an hour, too)
	@$(BIN)/python -m tests.benchmarks

pictures: for-tests  ## the pictures of README and docs that are older than what they show (ONLY=board: that one; AGAIN=1: all)
	@$(BIN)/python -m instructor.screenshots $(ONLY) $(if $(AGAIN),--again)

format: for-tests  ## put the code into its one format
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

clean:  ## remove the environment (build/ stays: it may hold a group's work)
	rm -rf $(VENV)

python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "error: $(PYTHON) is older than Python 3.11, or is not there"; echo "hint: make provision PYTHON=python3.12"; exit 1; }

for-instructor: python
	@$(SETUP) --extras instructor

for-media: python
	@$(SETUP) --extras instructor,media

for-tests: python
	@$(SETUP) --extras instructor,test,hub,media
