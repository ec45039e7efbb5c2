# Two commands matter: `make run` and `make test`. Both install what they need into .venv first.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
# Two processes share all tests, a file at a time. The quick ones run in one: a second process would pay again for imports.
PARALLEL ?= -p xdist --numprocesses 2 --dist loadfile --no-loadscope-reorder
# Byte code is kept, of the asserts that pytest rewrites too, whatever the environment says: seconds of every process.
export PYTHONDONTWRITEBYTECODE :=

.DEFAULT_GOAL := help
.PHONY: help install run test testall models-environment test-models check docs format words clean

help:  ## this list
	@echo "make run is the one to start with."
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: $(VENV)/run.stamp  ## start the API on 127.0.0.1:8000 and the dashboard on 127.0.0.1:8501
	@exec $(BIN)/python -m dashboard

install: $(VENV)/run.stamp  ## only install what make run needs

test: $(VENV)/dev.stamp  ## run the quick tests; make test TESTS=tests/server runs some
	$(BIN)/python -m pytest $(TESTS)

# A process has one Ray, and a busy machine can end it without a word: each of these files has a process and both cores.
RAY_TESTS := tests/server/engine/test_engine_contract.py tests/server/cluster/test_shared_files_on_ray.py

testall: $(VENV)/scale.stamp  ## run every test, the slow ones and those on Ray too; takes TESTS as well
ifdef TESTS
	$(BIN)/python -m pytest $(PARALLEL) -m "" $(TESTS)
else
	@status=0; \
	$(BIN)/python -m pytest $(PARALLEL) -m "" $(addprefix --ignore ,$(RAY_TESTS)) || status=$$?; \
	for file in $(RAY_TESTS); do $(BIN)/python -m pytest -rs -m "" $$file || status=$$?; done; exit $$status
endif

models-environment: $(VENV)-models/models.stamp

# An environment of its own, .venv-models: torchvision must belong to its torch. MODEL_LIBRARIES names less of it.
test-models: $(VENV)-models/models.stamp  ## look into models of timm, torchvision and others; takes TESTS as well
	$(VENV)-models/bin/python -m pytest -m models $(or $(TESTS),tests/models)

check: $(VENV)/dev.stamp  ## style, types, who may import whom, the compose file, the Dockerfile
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/check-jsonschema --builtin-schema vendor.compose-spec docker-compose.yml
	@if [ -x $(BIN)/hadolint ]; then echo hadolint Dockerfile; $(BIN)/hadolint Dockerfile; \
	else echo "hadolint comes for Linux on x86-64 only: the Dockerfile was not checked."; fi

docs: $(VENV)/docs.stamp  ## build the documentation, with API pages made from docstrings, into ./site
	$(BIN)/mkdocs build --quiet

format: $(VENV)/dev.stamp  ## let ruff put things right
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

words: $(VENV)/dev.stamp  ## put new sentences of the dashboard into its Chinese catalogue
	$(BIN)/python -m dashboard.catalogue

clean:  ## remove .venv and all that tools leave behind; stored photos stay
	rm -rf $(VENV) $(VENV)-models build dist site *.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache \
		.hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# A stamp is newer than what was installed from. With the stamp in place, a command starts at once.
$(VENV)/run.stamp: pyproject.toml constraints.txt | $(BIN)/python
	$(PIP) install --constraint constraints.txt --editable '.[server,dashboard]'
	@touch $@

$(VENV)/dev.stamp: pyproject.toml constraints.txt | $(BIN)/python
	$(PIP) install --constraint constraints.txt --editable '.[dev]'
	@touch $@ $(VENV)/run.stamp

$(VENV)/scale.stamp: $(VENV)/dev.stamp
	@$(PIP) install --constraint constraints.txt --editable '.[dev,scale]' \
	|| echo "Ray cannot be installed here (it has no build for this system, perhaps): its tests will be skipped."
	@touch $@

$(VENV)/docs.stamp: $(VENV)/dev.stamp
	$(PIP) install --constraint constraints.txt --editable '.[dev,docs]'
	@touch $@

MODEL_LIBRARIES ?= tests/models/requirements.txt tests/models/others.txt
$(VENV)-models/models.stamp: pyproject.toml $(MODEL_LIBRARIES)
	$(PYTHON) -m venv $(VENV)-models
	$(VENV)-models/bin/python -m pip install --disable-pip-version-check --editable '.[models]' 'pytest>=9.0' 'hypothesis>=6.150' \
		$(addprefix --requirement ,$(MODEL_LIBRARIES))
	@touch $@

$(BIN)/python:
	@command -v $(PYTHON) >/dev/null || { echo "There is no $(PYTHON) here. Install Python 3.11 or newer," \
		"or name it: make PYTHON=/path/to/python3.12"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("$(PYTHON) is Python %d.%d, and 3.11 or newer" \
		" is needed. Name a newer one: make PYTHON=python3.12" % sys.version_info[:2])'
	@$(PYTHON) -m venv --clear $(VENV) || { rm -rf $(VENV); echo "$(PYTHON) could not make a virtual environment." \
		"On Debian and Ubuntu: apt-get install python3-venv"; exit 1; }
