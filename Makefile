# make demo: the miniature study, from nothing to a finished comparison.   make test: every test but those of
# make test-slurm: on a real SLURM, brought up on this machine (Debian, as root) and taken down again.
# make test-light: the analysis and the light verbs without torch, freshly installed.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
# Where there is no CPU wheel of torch at hand: make demo PIP_ARGS="--extra-index-url https://download.pytorch.org/whl/cpu"
PIP_ARGS ?=
VENV := .venv
LIGHT := .venv-light
PIP_INSTALL := pip install --quiet --disable-pip-version-check $(PIP_ARGS) --constraint constraints.txt
PIP := $(VENV)/bin/$(PIP_INSTALL)

.PHONY: demo test test-slurm test-light check rehearse coverage install base clean

demo: $(VENV)/.installed
	$(VENV)/bin/ablate run sweeps/micro.yaml --results results/demo

test: $(VENV)/.installed-test
	$(VENV)/bin/python -m pytest

# Installs Debian's packages of SLURM if they are not there. Where SLURM can't be had it says why, and fails.
test-slurm: $(VENV)/.installed-test
	$(VENV)/bin/python -m pytest tests/slurm

# Always from nothing: what is tested is that the installation alone is enough, and how long it takes.
test-light:
	rm -rf $(LIGHT) build/lib build/bdist.*
	$(PYTHON) -m venv $(LIGHT)
	@began=$$(date +%s); $(LIGHT)/bin/$(PIP_INSTALL) . && echo "installed in $$(($$(date +%s) - began)) s"
	$(LIGHT)/bin/python tests/light_installation.py

check: $(VENV)/.installed-test
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/pyright

# Every stage of every arm of every shipped study, made small (about 10 minutes on two cores).
rehearse: $(VENV)/.installed
	for study in sweeps/*.yaml; do $(VENV)/bin/ablate rehearse $$study || exit 1; done

# Coverage of the intervals and errors of the tests, by simulation (12 CPU-minutes; 8 minutes on two cores in use): results/coverage.
coverage: $(VENV)/.installed
	$(VENV)/bin/python -m analysis.coverage

install: $(VENV)/.installed

# Pretrains the miniature base model anew (about 20 CPU-minutes) and compares it with the shipped one.
base: $(VENV)/.installed
	$(VENV)/bin/python -m harness.train.pretrain --out build/base

clean:
	rm -rf $(VENV) $(LIGHT) build *.egg-info

$(VENV)/.installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=/path/to/python3.11")'
	$(PYTHON) -m venv $(VENV)
	$(PIP) --editable '.[train]'
	touch $@

$(VENV)/.installed-test: $(VENV)/.installed
	$(PIP) --editable '.[train,test]'
	touch $@
