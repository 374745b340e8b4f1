# Everything runs in .venv, which `make install` makes from the package index alone.
PYTHON ?= python3
BIN := .venv/bin
export DAGSTER_HOME ?= $(CURDIR)/.dagster

.PHONY: install demo dev collect doctor test lint types definitions pytest benchmark clean

install: .venv/.installed

.venv/.installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; set PYTHON=")'
	@echo "installing into .venv: about 6 GB, mostly torch, 2 to 4 minutes"
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[test]"
	@touch $@

# The main job, once, on a sample world on loopback. UI=1 leaves the UI up.
demo: install
	$(BIN)/data-collection demo $(if $(UI),--ui)

# Dagster's UI and daemon on the sources that the environment names (see README).
dev: install home
	$(BIN)/data-collection recover
	$(BIN)/dagster dev -w workspace.yaml -h 127.0.0.1

# The main job once on those sources, without a person at the UI.
collect: install
	$(BIN)/data-collection collect

doctor: install
	$(BIN)/data-collection doctor

.PHONY: home
home:
	@mkdir -p "$(DAGSTER_HOME)"
	@[ -e "$(DAGSTER_HOME)/dagster.yaml" ] || cp dagster.yaml "$(DAGSTER_HOME)/dagster.yaml"

# Everything that CI checks, the quick looks first.
test: install lint types definitions pytest

lint:
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types:
	$(BIN)/mypy

definitions: home
	$(BIN)/dagster definitions validate -w workspace.yaml
	$(BIN)/dg check defs

# Two processes; a file's tests stay together, since they share what it has made. Files begin in the
# order of data_collection_tests/conftest.py, the longest first, and not those with the most tests.
pytest:
	$(BIN)/pytest -n 2 --dist loadfile --no-loadscope-reorder

clean:
	rm -rf .venv .dagster data/demo
