# Every command a person types. `make help` lists them.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
INSTALLED := .venv/installed
NOTEBOOKS := $(sort $(wildcard book/*.ipynb))

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

.PHONY: help
help: ## List these commands
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) \
	  | awk -F ':.*## ' '{printf "make %-10s %s\n", $$1, $$2}'

# -- Installing ------------------------------------------------------------

$(INSTALLED): requirements.txt constraints.txt pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet -r requirements.txt
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation \
	  --editable .
	@touch $@

.PHONY: install
install: $(INSTALLED) ## Install the pinned packages into .venv

# -- Reading ---------------------------------------------------------------

.PHONY: book
book: $(INSTALLED) ## Build the site from the stored outputs into _build/html
	$(BIN)/jupyter-book build . -W -n --keep-going
	@echo "Open _build/html/index.html, or type: make serve"

.PHONY: serve
serve: book ## Build the site and serve it at http://localhost:8000
	$(BIN)/python -m http.server 8000 --bind 127.0.0.1 \
	  --directory _build/html

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
notebooks: $(INSTALLED) ## Run every notebook and compare what it prints with what is stored
	OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 \
	  $(BIN)/python -m pytest --nbval -n 2 --dist loadfile book

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

.PHONY: lock
lock: ## Resolve requirements.txt anew and write constraints.txt
	$(PYTHON) tools/lock.py

.PHONY: repoint
repoint: $(INSTALLED) ## Point the course at a fork: make repoint REPO=owner/name
	$(BIN)/python tools/repoint.py $(REPO)

.PHONY: clean
clean: ## Remove the site, the caches and .venv
	rm -rf _build .venv build dist *.egg-info \
	  .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
