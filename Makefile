# make app       an environment in .venv with what the page needs, the page served
# make test      the same environment with everything, then the tests (all but the slow ones)
# make test-all  the slow tests as well
# make check     formatting, lint, types, import layers and the fast tests: no browser, no whole training or command
# make format    formats the code
# make weights   the data and the weights of both systems from nothing, in RUN, hours on a CPU

PYTHON ?= $(shell for name in python3.12 python3.11 python3; do \
	if $$name -c 'import ensurepip, sys; sys.exit(sys.version_info[:2] not in ((3, 11), (3, 12)))' >/dev/null 2>&1; \
	then echo $$name; break; fi; done)
WORKERS ?= 2
BIN := .venv/bin
PIP := $(BIN)/python -m pip install --disable-pip-version-check --quiet --no-compile

.PHONY: app test test-all check lint format weights system clean

app: .venv/stamp-app
	$(BIN)/python app.py

test: .venv/stamp-dev system
	$(BIN)/python -m pytest -n $(WORKERS) -m "not slow"

test-all: .venv/stamp-slow system
	$(BIN)/python -m pytest -n $(WORKERS)

check: lint
	$(BIN)/python -m pytest -q -n $(WORKERS) -m "not slow and not browser and not whole"

lint: .venv/stamp-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: .venv/stamp-dev
	$(BIN)/ruff check --fix --quiet . || true
	$(BIN)/ruff format .

# What the shipped weights have had, in one go. A stage that was stopped goes on where it was.
DATA ?= data/furniture
RUN ?= runs/release
TRAIN = $(BIN)/python -m wavemesh train --data $(DATA)
weights: .venv/stamp-dev
	$(BIN)/python -m wavemesh prepare -o $(DATA)
	$(TRAIN) --preset cpu --steps 9700 -o $(RUN)/coarse --export $(RUN)/weights
	$(TRAIN) --preset cpu-detail --batch-size 4 --steps 300 -o $(RUN)/detail --init $(RUN)/weights --export $(RUN)/weights
	$(TRAIN) --preset depth -o $(RUN)/depth --export $(RUN)/weights-depth
	$(TRAIN) --preset cpu-depth -o $(RUN)/seeing --init $(RUN)/weights --depth $(RUN)/weights-depth --export $(RUN)/weights
	$(TRAIN) --preset symmetry -o $(RUN)/symmetry --init $(RUN)/weights --export $(RUN)/weights
	$(TRAIN) --preset camera --steps 7000 --learning-rate 1.5e-3 -o $(RUN)/camera --export $(RUN)/weights/camera_head
	$(TRAIN) --preset triplane-autoencoder --steps 1300 -o $(RUN)/autoencoder --export $(RUN)/weights/triplane
	$(TRAIN) --preset triplane-coarse --steps 1500 -o $(RUN)/planes --init $(RUN)/weights/triplane --export $(RUN)/weights/triplane
	$(TRAIN) --preset triplane-detail --steps 1000 -o $(RUN)/bands --init $(RUN)/weights/triplane --export $(RUN)/weights/triplane
	$(TRAIN) --preset triplane-joint --steps 1870 -o $(RUN)/joint --init $(RUN)/weights/triplane --export $(RUN)/weights/triplane

# Chromium and a software OpenGL, where apt can bring them; elsewhere their tests stay out and pytest says so.
system:
	@.ci/system

clean:
	rm -rf .venv build dist *.egg-info

.venv/bin/python:
	@test -n "$(PYTHON)" || { echo "WaveMesh needs Python 3.11 or 3.12 with venv; none was found." >&2; exit 2; }
	$(PYTHON) -m venv .venv

# torch by itself and pinned: a range would let pip choose a build that is several GB larger.
.venv/stamp-torch: constraints.txt | .venv/bin/python
	$(PIP) "$$(grep '^torch==' constraints.txt)"
	@touch $@

.venv/stamp-app: requirements.txt constraints.txt | .venv/stamp-torch
	$(PIP) -r requirements.txt -c constraints.txt
	@touch $@

# pyproject.toml has the lists. A Space installs this file alone, so that it cannot refer to them.
requirements.txt: pyproject.toml | .venv/bin/python
	@$(BIN)/python -c 'import tomllib; p = tomllib.load(open("$<", "rb"))["project"]; print( \
		"# What the page imports, for a Space on Hugging Face; `make requirements.txt` writes it from pyproject.toml.", \
		*p["dependencies"], *p["optional-dependencies"]["app"], sep="\n")' > $@

.venv/stamp-slow: .venv/stamp-dev
	$(PIP) -e ".[slow]" -c constraints.txt
	@touch $@

# Exactly what was tested, on every platform, with the sum of every file; written by uv, which has to be installed.
hashes.txt: requirements.txt constraints.txt
	@{ echo "# What the page needs, pinned: pip install --require-hashes -r $@; \`make $@\` writes it."; \
	uv pip compile $< -c constraints.txt --universal --python-version 3.11 --generate-hashes --no-header \
		--no-annotate --quiet; } > $@.new && mv $@.new $@

.venv/stamp-dev: requirements-dev.txt pyproject.toml .venv/stamp-app
	$(PIP) -r requirements-dev.txt -c constraints.txt
	@touch $@
