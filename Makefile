# Every target works as the first command on a fresh clone: it makes .venv, installs what constraints.txt pins, and runs.

.DEFAULT_GOAL := help
.PHONY: install demo test lint format bench gpu-check clean help always

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
RUN := runs/demo
ROWS := runs/demo_rows

# The first of these that is Python 3.11 or 3.12.
IS_SUPPORTED := import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 12))
PYTHON ?= $(shell for p in python3 python3.12 python3.11 python; do $$p -c "$(IS_SUPPORTED)" 2>/dev/null && echo $$p && break; done)

# Installed before everything else, so that the platform's own build is taken. Another one stays chosen once it was given:
#   make install TORCH=torch==2.11.0
TORCH ?= $(shell grep '^torch==' constraints.txt)

# Tests on real rows and pictures run where a folder with them is known, and skip with a reason elsewhere.
REAL_DATA := $(wildcard ../shared/data)
ifneq ($(REAL_DATA),)
export BASEREWARD_REAL_DATA ?= $(abspath $(REAL_DATA))
endif

# One thread per worker: tests are many small models, on which threads only get in each other's way.
WORKERS ?= auto
PYTEST := $(BIN)/python -m pytest -n $(WORKERS) --maxprocesses 8 --dist loadfile

ifneq ($(filter command environment,$(firstword $(origin TORCH))),)
$(STAMP): always
endif

install: $(STAMP)  ## make .venv with the pinned versions (TORCH=torch==2.11.0 takes another torch)
	@echo "$(VENV) is ready: . $(BIN)/activate"

$(STAMP): setup.cfg pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "make: Python 3.11 or 3.12 is needed and none was found; name one: make $(MAKECMDGOALS) PYTHON=/path/to/python3.12" >&2; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
ifneq ($(filter command environment,$(firstword $(origin TORCH))),)
	@echo "$(TORCH)" > $(VENV)/torch.txt
else
	@test -s $(VENV)/torch.txt || echo "$(TORCH)" > $(VENV)/torch.txt
endif
	$(BIN)/python -m pip install --quiet $$(cat $(VENV)/torch.txt)
	@grep -v '^torch==' constraints.txt > $(VENV)/constraints.txt
	@$(BIN)/python -m pip list --format freeze | grep '^torch==' >> $(VENV)/constraints.txt
	$(BIN)/python -m pip install --quiet -c $(VENV)/constraints.txt -e '.[dev]'
	@touch $@

demo: $(STAMP)  ## train a small model on drawn pictures and judge it, with and without the pictures (minutes, on a CPU)
	$(BIN)/basereward train experiment=demo run.dir=$(RUN) run.resume=true
	$(BIN)/basereward evaluate model=$(RUN) benchmark=demo blind=true
	@$(BIN)/python -c "$$WRITE_ROWS" $(ROWS)
	@echo
	@echo "The run lies in $(RUN)/ (report: $(RUN)/report.html). Try next, after '. $(BIN)/activate':"
	@echo "  basereward data check path=$(ROWS)/rows.jsonl"
	@echo "  basereward score model=$(RUN) input=$(ROWS)/rows.jsonl output=$(ROWS)/scores.jsonl overwrite=true"
	@echo "  basereward export model=$(RUN) out=runs/exported overwrite=true"
	@echo "A file of yours in place of rows.jsonl: docs/data.md says what it may look like."

# A few rows that the model was not trained on, as a file with pictures beside it, for the commands that want a file.
define WRITE_ROWS
import json, pathlib, sys
from basereward.demo import make_rows
folder = pathlib.Path(sys.argv[1])
folder.mkdir(parents=True, exist_ok=True)
with (folder / "rows.jsonl").open("w", encoding="utf-8") as file:
    for row in make_rows("test", 40, seed=0):
        names = [f"{row['id']}-{index}.png" for index, _ in enumerate(row.get("images", []))]
        for name, data in zip(names, row.get("images", [])):
            (folder / name).write_bytes(data)
        file.write(json.dumps({**row, "images": names}) + chr(10))
endef
export WRITE_ROWS

test: $(STAMP)  ## all tests that need no GPU, and the examples in docstrings
	OMP_NUM_THREADS=1 $(PYTEST) $(PYTEST_ARGS)

lint: $(STAMP)  ## rules and layout of the code (ruff.toml)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: $(STAMP)  ## mend what lint can mend by itself
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(STAMP)  ## every claim about speed and memory, each beside its floor, in one run
	$(BIN)/python -m bench $(BENCH_ARGS)

# Needs torch, transformers, accelerate, peft, numpy and Pillow of $(GPU_PYTHON), and leaves its environment as it is: the tree
# is installed without dependencies into build/gpu. Where there is no GPU it fails: a check that did not happen is not a pass.
GPU_PYTHON ?= $(PYTHON)
gpu-check:  ## tests marked gpu and the benchmark on a CUDA machine, with the libraries it has (GPU_PYTHON=...)
	@$(GPU_PYTHON) -c "import torch, sys; sys.exit(not torch.cuda.is_available())" 2>/dev/null || \
		{ echo "gpu-check: '$(GPU_PYTHON)' finds no CUDA device (or has no torch), so nothing was checked"; exit 1; }
	rm -rf build/gpu
	$(GPU_PYTHON) -m pip install --quiet --no-deps --no-build-isolation --target build/gpu .
	@$(GPU_PYTHON) -c "import pytest" 2>/dev/null || $(GPU_PYTHON) -m pip install --quiet --target build/gpu pytest
	PYTHONPATH=build/gpu:. $(GPU_PYTHON) -P -m pytest -m gpu tests/gpu
	PYTHONPATH=build/gpu:. $(GPU_PYTHON) -P -m bench $(BENCH_ARGS)

clean:  ## remove build folders and caches; .venv and runs stay
	rm -rf build dist *.egg-info .pytest_cache .ruff_cache

help:  ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
