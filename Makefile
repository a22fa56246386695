# `make help` lists the verbs. Each sets up .venv on its first run, so there is no step before it.

PYTHON ?= python3.11
CONFIG ?= training/configs/cosmos_2.yaml
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed
EXTRAS := dev,docs

.DEFAULT_GOAL := help
.PHONY: help setup format lint check data train export validate index bench bench-pm docs pictures demo test constraints clean

help: ## List these verbs
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(STAMP) ## Draw 100 galaxies: output/demo.fits and output/demo.png
	$(BIN)/galsim examples/demo.yaml
	$(BIN)/python examples/contact_sheet.py output/demo.fits output/demo.png

test: $(STAMP) ## Run every test and doctest, warnings as errors
	$(BIN)/python -m pytest

setup: $(STAMP) ## Create .venv from constraints.txt (the other verbs do it too)

# Depends on what decides the environment, so that it is made again when one of them changes.
$(STAMP): pyproject.toml setup.py constraints.txt
	@echo "Setting up $(VENV), about a minute"
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[$(EXTRAS)]'
	@touch $@

format: $(STAMP) ## Rewrite the code in the project's format
	$(BIN)/ruff check --fix-only --exit-zero
	$(BIN)/ruff format

lint: $(STAMP) ## Check style, format, layers, types, docstrings, the index and the ablation's page
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/lint-imports
	$(BIN)/mypy
	find galsim_hub -name '*.py' -exec $(BIN)/numpydoc lint {} +
	$(BIN)/galsim-hub index hub_modules --check
	$(BIN)/python -m training ablate training/configs/ablation.yaml --check

check: lint docs test ## Run everything CI runs

data: $(STAMP) ## Build the training set that CONFIG describes
	$(BIN)/python -m training data $(CONFIG)

train: $(STAMP) ## Train the model of CONFIG, or go on where it was stopped
	$(BIN)/python -m training train $(CONFIG)

export: $(STAMP) ## Write the trained model of CONFIG as a hub module
	$(BIN)/python -m training export $(CONFIG)

validate: $(STAMP) ## Measure MODULE (default: that of CONFIG), 1,000 galaxies' morphology, and print the table
	$(BIN)/python -m training validate $(MODULE) $(CONFIG) --morphology-count 1000

index: $(STAMP) ## Write hub_modules/index.json from the cards
	$(BIN)/galsim-hub index hub_modules

bench: $(STAMP) ## Time sampling and drawing against parametric galaxies, and Dask workers
	$(BIN)/python tests/benchmarks/bench_sampling.py
	$(BIN)/python tests/benchmarks/bench_scale.py --workers 1 2 --size 48 --pixel-scale 0.2

bench-pm: $(STAMP) build/peers/jaxpm/done build/peers/flowpm/done ## Time the particle mesh against JaxPM and FlowPM
	$(BIN)/python tests/benchmarks/bench_particle_mesh.py 64,128 10 build/peers/jaxpm/bin/python build/peers/flowpm/bin/python

# packaging is imported by a requirement of JaxPM that does not ask for it.
build/peers/jaxpm/done:
	$(PYTHON) -m venv build/peers/jaxpm
	build/peers/jaxpm/bin/python -m pip install --quiet jaxpm==0.1.6 packaging
	touch $@

# Without Mesh TensorFlow, which FlowPM requires and only its distributed form uses.
build/peers/flowpm/done:
	$(PYTHON) -m venv build/peers/flowpm
	build/peers/flowpm/bin/python -m pip install --quiet tensorflow tensorflow_probability tf_keras scipy astropy
	build/peers/flowpm/bin/python -m pip install --quiet --no-deps flowpm==0.1.1
	touch $@

docs: $(STAMP) ## Build the manual and the hub's page in docs/_build/html, warnings as errors
	$(BIN)/sphinx-build --quiet --fail-on-warning --keep-going docs docs/_build/html
	$(BIN)/python docs/hub/build.py docs/_build/html/hub

pictures: $(STAMP) ## Draw the pictures of the survey recipes and of examples
	$(BIN)/python docs/pictures.py

# A fresh environment, so that nothing that was installed by hand is pinned.
constraints: ## Resolve every pin in constraints.txt anew
	rm -rf build/constraints
	$(PYTHON) -m venv build/constraints
	build/constraints/bin/python -m pip install --quiet --editable '.[$(EXTRAS)]'
	sed '/^[^#]/d' constraints.txt > build/constraints/header
	build/constraints/bin/python -m pip freeze --all --exclude-editable --exclude pip \
	  | cat build/constraints/header - > build/constraints/pins
	mv build/constraints/pins constraints.txt

clean: ## Delete what the verbs made, but for .venv, data and training runs
	rm -rf output build docs/_build .mypy_cache .pytest_cache .ruff_cache .import_linter_cache *.egg-info
