# Everything a newcomer needs: `make demo` and `make test`, on a machine with Python alone.

PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test test-all lint clean

demo: .venv/installed  ## train, measure, draw and export a VAE on real images, 3 to 5 minutes
	rm -rf runs/demo
	$(BIN)/zoo train vae --run-dir runs/demo
	@echo '(after `source .venv/bin/activate`, which puts zoo on the path)'

test: .venv/installed-test  ## the quick suite, about 25 minutes on 2 cores
	$(BIN)/python -m pytest -n 2 --dist worksteal -m "not slow"

test-all: .venv/installed-test  ## the slow tests too
	$(BIN)/python -m pytest -n 2

lint: .venv/installed-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

clean:
	rm -rf .venv runs build *.egg-info

.venv/installed: setup.cfg pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "The zoo needs Python 3.11 or newer; try: make PYTHON=python3.11")'
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable .
	touch $@

.venv/installed-test: .venv/installed
	$(BIN)/python -m pip install --quiet --editable '.[test]'
	$(BIN)/python -m pip install --quiet --no-deps torch-fidelity==0.4.0 tensorflow-gan==2.1.0
	touch $@
