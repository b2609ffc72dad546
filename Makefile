# Every command a person types. `make help` lists them.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
INSTALLED := .venv/installed
OLDEST := .venv-oldest/installed
NOTEBOOKS := $(sort $(wildcard book/*.ipynb))

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

.PHONY: help
help: ## List these commands
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) \
	  | awk -F ':.*## ' '{printf "make %-12s %s\n", $$1, $$2}'

# -- Installing ------------------------------------------------------------

$(INSTALLED): requirements.txt constraints.txt pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet -r requirements.txt
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation \
	  --editable .
	@touch $@

.PHONY: install
install: $(INSTALLED) ## Install the pinned packages into .venv

$(OLDEST): $(INSTALLED) tools/oldest.py
	$(PYTHON) -m venv --clear .venv-oldest
	$(BIN)/python tools/oldest.py > .venv-oldest/requirements.txt
	.venv-oldest/bin/python -m pip install --quiet \
	  -r .venv-oldest/requirements.txt
	.venv-oldest/bin/python -m pip install --quiet --no-deps \
	  --no-build-isolation --editable .
	@touch $@

# -- Reading ---------------------------------------------------------------

.PHONY: book
book: $(INSTALLED) ## Build the site from the stored outputs into _build/html
	$(BIN)/jupyter-book build . --all -W -n --keep-going
	@echo "Open _build/html/index.html, or type: make serve"

.PHONY: serve
serve: book ## Build the site and serve it at http://localhost:8000
	$(BIN)/python -m http.server 8000 --bind 127.0.0.1 \
	  --directory _build/html

.PHONY: pdf
pdf: book ## Print the whole course as _build/chain-rule.pdf
	$(BIN)/python tools/pdf.py

.PHONY: screenshots
screenshots: book ## Photograph every page into _build/screenshots
	$(BIN)/python tools/screenshots.py

.PHONY: site-report
site-report: book ## Weigh every page: bytes, requests, time to first paint
	$(BIN)/python tools/site_report.py

# -- Checking --------------------------------------------------------------

.PHONY: test
test: lint unit notebooks ## Run every check, as CI does

.PHONY: lint
lint: $(INSTALLED) ## Check style and spelling
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/codespell

.PHONY: unit
unit: $(INSTALLED) ## Run the tests of the package, the notebooks' form and the site
	$(BIN)/python -m pytest

# Two at a time, a thread each: more threads than cores wait for each other.
.PHONY: notebooks
notebooks: $(INSTALLED) ## Run every notebook on its own and compare what it prints with what is stored
	OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 \
	  $(BIN)/python tools/alone.py $(NOTEBOOKS)

.PHONY: test-offline
test-offline: $(INSTALLED) ## Run every check where there is no network
	$(BIN)/python tools/offline.py $(MAKE) test

# A part of the table: make reproduce ROWS="Nehalem Haswell"
.PHONY: reproduce
reproduce: $(INSTALLED) ## Compare every output under each kernel, instruction set and thread count
	$(BIN)/python -m tools.reproduce $(ROWS)

.PHONY: test-oldest
test-oldest: $(OLDEST) ## Run tests and notebooks with the oldest versions that pyproject.toml admits
	.venv-oldest/bin/python -m pytest -p tools.oldest
	OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 \
	  .venv-oldest/bin/python -m pytest -p tools.oldest \
	  --nbval --nbval-current-env -n 2 --dist loadfile book

.PHONY: mutants
mutants: $(INSTALLED) ## Break the modules on purpose and see the tests fail
	$(BIN)/python tools/mutants.py

# -- Writing ---------------------------------------------------------------

.PHONY: export
export: $(INSTALLED) ## Write the modules in lessons/ from their chapters
	$(BIN)/python tools/export.py

.PHONY: outputs
outputs: export ## Run every notebook and store its outputs
	$(BIN)/python tools/outputs.py $(NOTEBOOKS)

.PHONY: bench
bench: $(INSTALLED) ## Measure how fast the course trains, for the page book/speed.md
	$(BIN)/python tools/bench.py

.PHONY: fonts
fonts: $(INSTALLED) ## Cut the site's fonts again: make fonts MATH=path/to/original.otf
	$(BIN)/python tools/fonts.py $(MATH)

.PHONY: lock
lock: ## Resolve requirements.txt anew and write constraints.txt
	$(PYTHON) tools/lock.py

.PHONY: repoint
repoint: $(INSTALLED) ## Point the course at a fork: make repoint REPO=owner/name
	$(BIN)/python tools/repoint.py $(REPO)

.PHONY: clean
clean: ## Remove the site, the caches and the environments
	rm -rf _build mutants .venv .venv-oldest build dist *.egg-info \
	  .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
