# Every target builds what it needs: a .venv from constraints.txt, once, and again when the requirements change.
#   make PYTHON=python3.12 test                                             another Python
#   make PIP_EXTRA_INDEX_URL=https://download.pytorch.org/whl/cpu demo      torch without CUDA (a tenth of the download)

PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
DEMO   := mismatch_quickstart
# Two for each core: many tests wait for other processes.
WORKERS ?= $(shell expr 2 \* `getconf _NPROCESSORS_ONLN`)

.DEFAULT_GOAL := help
.PHONY: help demo test test-slow test-long test-slurm test-all bench lint clean

help:
	@echo "make demo      train a small grid of networks, cached, and draw its figure"
	@echo "make test      the tests (make test-slow: those that take minutes, make test-all: both)"
	@echo "make test-long    a quarter of an hour more: thousands of simulated campaigns, published rows again"
	@echo "make test-slurm   tests on a Slurm cluster of its own, started on this machine (as root, on Debian)"
	@echo "make bench     speed against joblib, diskcache, exca and cachier"
	@echo "make lint      ruff and mypy"
	@echo "make clean     remove $(VENV) and caches; results in sessions/ stay"

demo: $(VENV)/installed-test
	$(BIN)/python train.py -exp=$(DEMO) -size=demo -n_threads=2
	$(BIN)/python make_figures.py -exp=$(DEMO) -size=demo
	@echo; echo "the figure: $(CURDIR)/figures/$(DEMO).png"

test: $(VENV)/installed-test
	$(BIN)/python -m pytest -n $(WORKERS)

test-slow: $(VENV)/installed-test
	$(BIN)/python -m pytest -n auto --slow -m slow

test-long: $(VENV)/installed-test
	$(BIN)/python -m pytest -n auto --long -m long

# Most of these tests wait for Slurm most of the time, so there may be more of them than cores.
test-slurm: $(VENV)/installed-test
	launch/test_cluster/with.sh $(BIN)/python -m pytest -n 5 --dist worksteal -m slurm

test-all: test test-slow test-long

bench: $(VENV)/installed-bench
	$(BIN)/python -m benchmarks

lint: $(VENV)/installed-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

$(VENV)/installed-%: setup.cfg constraints.txt
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || \
	  { echo "no virtual environment could be made: install your system's python3-venv"; exit 1; }
	@echo "installing into $(VENV), once: a minute or a few"
	@$(BIN)/python -m pip install --disable-pip-version-check --quiet -c constraints.txt -e ".[$*]"
	@touch $@

clean:
	rm -rf $(VENV) build *.egg-info .mypy_cache .ruff_cache .pytest_cache
