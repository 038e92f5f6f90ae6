# make demo   set up .venv and run the main job on the embedded digits
# make test   set up .venv and run the tests
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
WORKERS ?= 2
CHROMIUM := $(or $(CHROME),$(shell command -v chromium || command -v google-chrome || command -v chromium-browser))

export TF_CPP_MIN_LOG_LEVEL ?= 3

.PHONY: help setup demo test test-all test-web lint clean

help:
	@sed -n 's/^# //p' Makefile

setup: $(VENV)/.installed

$(VENV)/.installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "vislearn needs Python 3.11 or newer, and $(PYTHON) is %d.%d: make PYTHON=python3.11 ..." % sys.version_info[:2])'
	@$(PYTHON) -m venv $(VENV) || { echo "Install the venv module of $(PYTHON) first (Debian: apt-get install python3-venv)"; exit 1; }
	@echo "Installing into $(VENV) (about 3 GB, once) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	@touch $@

demo: setup
	@rm -rf runs/digits
	$(BIN)/vislearn train resnet20_cifar --data digits --out runs/digits --epochs 40 --learning-rate 0.2
	$(BIN)/vislearn export runs/digits --out saved_models/demo --overwrite
	$(BIN)/vislearn evaluate runs/digits saved_models/demo --data digits
	$(BIN)/vislearn predict saved_models/demo --data digits --count 24 --out runs/digits/predictions.png

# test-all: also the tests that take longer than a minute
test: setup lint
	$(BIN)/python -m pytest -n $(WORKERS) -m "not slow"
	KERAS_BACKEND=jax $(BIN)/python -m pytest -n $(WORKERS) -m "not slow and not tensorflow" tests/ladder tests/layers tests/losses tests/ops

test-all: setup lint
	$(BIN)/python -m pytest -n $(WORKERS)
	KERAS_BACKEND=jax $(BIN)/python -m pytest -n $(WORKERS) -m "not tensorflow" tests/ladder tests/layers tests/losses tests/ops tests/training tests/selection

# test-web   test the browser page in headless Chromium: $CHROME, one that is installed, or Debian's
test-web:
	@test -n "$(CHROMIUM)" || { echo "Installing Debian's Chromium ..."; apt-get update -qq && apt-get install -qq -y --no-install-recommends chromium; } \
	  || { echo "There is no Chromium: install one, or run this again as root, or with CHROME=/path/to/chromium"; exit 1; }
	cd apps/web && npm ci --no-audit --no-fund && npm test

lint: setup
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

clean:
	rm -rf $(VENV) runs build *.egg-info
