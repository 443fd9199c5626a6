# Two commands on a fresh machine: `make demo` and `make test`. Each sets up .venv when it must.
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.set-up
EXTRAS := diffusers,report,eval,fast,hardware,rtl,bench,ui,docs,dev
# Two processes of one thread each: threads of one process would wait for each other.
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist worksteal

# Units whose synthesis takes seconds; `tenuto rtl area --check` without names does all, in minutes.
SMALL_UNITS := gather column-sort lane-place restore
# Units whose Verilog is written in seconds; the slow tests lint all of them.
LINTED := $(SMALL_UNITS) log-dot row-select eager-row pair-writer
CELLS := /usr/share/qflow/tech/osu018/osu018_stdcells.lib

.DEFAULT_GOAL := help
.PHONY: help setup check fix test test-all rtl demo bench league tables docs zoo-smoke soak clean

help:  ## List the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' Makefile | expand -t 12

setup: $(STAMP)  ## Create .venv with the tested versions

# torch goes first and alone: resolved together with the rest, pip may pick another build of it.
$(STAMP): pyproject.toml constraints.txt
	test -x $(BIN)/pip || $(PYTHON) -m venv --clear .venv
	$(BIN)/python -m pip install --quiet --constraint constraints.txt torch==2.13.0
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[$(EXTRAS)]'
	touch $@

check: $(STAMP)  ## Format, lint, types, layers; changes nothing
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/pyright --pythonpath $(BIN)/python
	$(BIN)/lint-imports

fix: $(STAMP)  ## Format and repair what ruff can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

test: $(STAMP)  ## All tests but the slow ones
	$(PYTEST) -m "not slow"

test-all: $(STAMP)  ## Every test
	$(PYTEST)

rtl: $(STAMP)  ## Hardware units: Verilog, lint, values and cycles in Amaranth and in C++, proofs, area
	$(BIN)/tenuto rtl emit --out build/rtl $(SMALL_UNITS)
	$(BIN)/tenuto rtl lint $(LINTED)
	$(BIN)/tenuto rtl verify
	if command -v g++ >/dev/null; then $(BIN)/tenuto rtl verify --large; \
	else echo "no g++ (apt): the large cases in compiled C++ are skipped"; fi
	$(BIN)/tenuto rtl prove
	if test -e $(CELLS); then $(BIN)/tenuto rtl area --check $(SMALL_UNITS); \
	else echo "no qflow-tech-osu018 (apt): the check of the areas is skipped"; fi

demo: $(STAMP)  ## The main job on the embedded video model: a table and demo/report.html
	$(BIN)/tenuto demo --out demo

bench: $(STAMP)  ## Measured speed, memory and overhead, one script after the other
	for script in $(filter-out benchmarks/league.py,$(wildcard benchmarks/*.py)); do $(BIN)/python $$script || exit 1; done

tables: $(STAMP)  ## Write what the code says into the documents
	$(BIN)/python -m tenuto.integration.family_table docs/families.md
	$(BIN)/python -m tenuto.rtl.window_walk docs/rtl.md tests/unit/rtl/recorded_window.npy

docs: $(STAMP)  ## The documentation site in site/; strict: a dead link fails
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --quiet

zoo-smoke: $(STAMP)  ## Train each embedded model for a minute; a killed run resumes to the bit
	$(BIN)/python -m recipes.zoo.smoke --minutes 1

clean:  ## Remove the environment and everything generated
	rm -rf .venv demo site .pytest_cache .ruff_cache .hypothesis .import_linter_cache

league: $(STAMP)  ## Every rival on both embedded models; resumable, about an hour
	$(BIN)/python benchmarks/league.py --out league

soak: $(STAMP)  ## 1,000 generations with random settings: nothing may leak, differ or break
	OMP_NUM_THREADS=1 $(BIN)/python -m recipes.soak.run --generations 1000
