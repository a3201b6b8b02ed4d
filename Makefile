# Two commands matter: `make run` and `make test`. Both make .venv themselves and are quick the second time.

PYTHON ?= python3
# Files of tests that run side by side: as many as there are processors.
JOBS ?= logical
CONSTRAINTS ?= constraints.txt
VENV ?= .venv
BIN := $(VENV)/bin
INSTALL := $(BIN)/python -m pip install --quiet $(if $(CONSTRAINTS),--constraint $(CONSTRAINTS))

.PHONY: help run test lint format types wheel readme screenshots docs site clean
.DELETE_ON_ERROR:

help: ## list these targets
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 14

run: $(VENV)/.installed ## set up, run the main job (multigrad run --quick), say where the results lie
	$(BIN)/multigrad run --quick

test: $(VENV)/.installed-dev ## set up with the developers' tools and run the tests
	$(BIN)/python -m pytest --numprocesses $(JOBS) --dist loadfile $(PYTEST)

lint: $(VENV)/.installed-dev ## ruff: rules and format; import-linter: who may import whom
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports --no-logo

format: $(VENV)/.installed-dev ## ruff: mend what can be mended
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

types: $(VENV)/.installed-dev ## mypy over the three folders
	$(BIN)/mypy multigrad backends bench

wheel: $(VENV)/.installed-dev ## build the wheel into dist/
	rm -rf build dist
	$(BIN)/python -m build --wheel --no-isolation
	rm -rf build

readme: $(VENV)/.installed-dev ## write into the README what its commands print today
	$(BIN)/python .ci/readme.py

screenshots: $(VENV)/.installed-dev ## take the picture of a report: make screenshots RUN=results/<machine>/<run>
	$(BIN)/multigrad report $(RUN)
	$(BIN)/python .ci/screenshots.py $(RUN)

docs: $(VENV)/.installed-dev ## write the pages of docs/operations from docstrings, sources and results
	$(BIN)/multigrad docs

site: $(VENV)/.installed-dev ## build the documentation site into site; a broken link is an error
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --quiet
	@echo "open site/index.html"

clean: ## remove the environment and everything built; results stay
	rm -rf $(VENV) build dist site *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis htmlcov .coverage

# A stamp is made last, so that an installation that was cut short is begun again.
$(VENV)/.installed: pyproject.toml $(CONSTRAINTS) | $(BIN)/python
	@echo "installing multigrad with every framework that runs without a GPU, and what draws its report"
	$(INSTALL) --editable ".[cpu,report]"
	@touch $@

$(VENV)/.installed-dev: pyproject.toml $(CONSTRAINTS) | $(BIN)/python
	@echo "installing multigrad with every framework that runs without a GPU, and the developers' tools"
	$(INSTALL) --editable ".[dev]"
	@touch $@ $(VENV)/.installed

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "multigrad needs Python 3.11 or later; this is " + sys.version.split()[0] + " (make PYTHON=python3.11 run)")'
	$(PYTHON) -m venv $(VENV)
