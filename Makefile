# Every command a person types. `make help` lists them in this order.

# The first of these that runs; `make book PYTHON=/path/to/python` names one.
PYTHON ?= $(shell for python in python3.11 python3.12 python3.13 python3; do \
	    $$python -c "" 2>/dev/null && break; done; echo $$python)
COLAB_PYTHON ?= python3.13

# In .venv, what builds the site, and what does all the rest.
BIN := .venv/bin
SITE := .venv/site
INSTALLED := .venv/installed
PIP_INSTALL := -m pip install --quiet
THIS_COURSE := --no-deps --no-build-isolation --editable .

# All notebooks, or one: CHAPTER=2
NOTEBOOKS := $(sort $(wildcard $(if $(CHAPTER),\
	       book/$(CHAPTER)-*.ipynb book/0$(CHAPTER)-*.ipynb,book/*.ipynb)))
ifeq ($(NOTEBOOKS),)
$(error There is no chapter $(CHAPTER): CHAPTER=2 is book/02-matrix.ipynb)
endif

# Two at a time, a thread each: more threads than cores wait for each other.
ONE_THREAD := OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

.PHONY: help
help:
	@awk -F ':.*## |^# -- | -+$$' '/^# -- /{print "\n" $$2} \
	  /^[a-z-]+:.*## /{printf "  make %-13s %s\n", $$1, $$2}' Makefile

# -- To begin with ---------------------------------------------------------

.PHONY: book
book: $(SITE) ## Build the site, to read it: _build/html/index.html
	$(BIN)/jupyter-book build . --all -W -n --keep-going
	@echo "Open _build/html/index.html, or type: make serve"

.PHONY: lab
lab: $(INSTALLED) ## Open the chapters in JupyterLab, to run and change them
	$(BIN)/python -m jupyterlab book

.PHONY: prose
prose: $(INSTALLED) ## Check spelling, form and numbers of the text, in seconds
	$(BIN)/codespell
	$(BIN)/python -m pytest -q tests/test_notebooks.py tests/test_claims.py \
	  $(if $(CHAPTER),-k $(basename $(notdir $(NOTEBOOKS))))

.PHONY: outputs
outputs: export ## Run the chapters, store what they print: CHAPTER=2 for one
	$(BIN)/python -m tools.outputs $(NOTEBOOKS)

.PHONY: test
test: lint unit notebooks ## Run every check, as CI does

# -- Reading ---------------------------------------------------------------

.PHONY: serve
serve: book ## Build the site and serve it at http://localhost:8000
	$(BIN)/python -m http.server 8000 --bind 127.0.0.1 \
	  --directory _build/html

.PHONY: pdf
pdf: book $(INSTALLED) ## Print the whole course as _build/chain-rule.pdf
	$(BIN)/python -m tools.pdf

# -- Writing ---------------------------------------------------------------

.PHONY: tidy
tidy: $(INSTALLED) ## Store the chapters in the one form, without running them
	$(BIN)/python -m tools.outputs --tidy $(NOTEBOOKS)

.PHONY: export
export: $(INSTALLED) ## Write the modules in lessons/ from their chapters
	$(BIN)/python -m tools.export

.PHONY: bench
bench: $(INSTALLED) ## Measure how fast the course trains, for the page book/speed.md
	$(ONE_THREAD) $(BIN)/python -m tools.bench

.PHONY: fonts
fonts: $(INSTALLED) ## Cut the site's fonts again: make fonts MATH=path/to/original.otf
	$(BIN)/python -m tools.fonts $(MATH)

# Where the course lives now; as a whole, and not as part of a longer name.
OLD := $(shell sed -n 's|^  url: https://github.com/||p' _config.yml)
PAGES = $(subst /,.github.io/,$(1))
WHOLE = s{(?<![\w.-])\Q$(1)\E(?![\w-])}{$(2)}g;

.PHONY: repoint
repoint: ## Point the course at a fork: make repoint REPO=owner/name
	$(if $(filter 1-2,$(words $(REPO))-$(words $(subst /, ,$(REPO)))),,\
	  $(error Type: make repoint REPO=owner/name))
	git grep -lIz -e '$(OLD)' -e '$(call PAGES,$(OLD))' | xargs -0 perl -i \
	  -pe '$(call WHOLE,$(OLD),$(REPO))' \
	  -e '$(call WHOLE,$(call PAGES,$(OLD)),$(call PAGES,$(REPO)))'

# -- Checking --------------------------------------------------------------

.PHONY: lint
lint: $(INSTALLED) ## Check style and spelling
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/codespell

.PHONY: unit
unit: $(INSTALLED) ## Run the tests of the package, the notebooks' form, site and PDF
	$(ONE_THREAD) $(BIN)/python -m pytest -n 2 --dist loadfile

.PHONY: notebooks
notebooks: $(INSTALLED) ## Compare what each notebook prints, run on its own, with what is stored
	$(ONE_THREAD) $(BIN)/python -m tools.notebooks $(NOTEBOOKS)

# A network with nothing in it but this process itself.
.PHONY: test-offline
test-offline: $(INSTALLED) ## Run every check where there is no network, on Linux
	unshare --map-root-user --net \
	  sh -c 'ip link set lo up && exec $(MAKE) test'

# A part of the table: make reproduce ROWS="Nehalem Haswell"
.PHONY: reproduce
reproduce: $(INSTALLED) ## Compare every output under each kernel, instruction set and thread count
	$(BIN)/python -m tools.reproduce $(ROWS)

.PHONY: test-oldest
test-oldest: .venv-oldest/installed ## Check the lessons with the oldest versions that pyproject.toml admits
	.venv-oldest/bin/python -m pytest -m "not site" \
	  --ignore tests/test_requirements.py
	$(ONE_THREAD) .venv-oldest/bin/python -m tools.notebooks $(NOTEBOOKS)

.PHONY: test-colab
test-colab: .venv-colab/installed ## Compare what the notebooks print with Colab's versions, on its Python
	$(ONE_THREAD) .venv-colab/bin/python -m tools.notebooks $(NOTEBOOKS)

.PHONY: mutants
mutants: $(INSTALLED) ## Break the modules on purpose and see the tests fail
	$(BIN)/python -m tools.mutants

# -- Installing and removing -----------------------------------------------

.PHONY: install
install: $(INSTALLED) ## Install all that the targets need into .venv

# As for the oldest Python that is promised, and without what torch brings
# along on Linux with CUDA alone, which it pins itself.
.PHONY: lock
lock: ## Resolve the requirements anew and write constraints.txt
	$(PYTHON) -m venv _build/lock
	_build/lock/bin/python $(PIP_INSTALL) uv
	grep -h == requirements-site.txt requirements.txt | _build/lock/bin/uv \
	  pip compile - --upgrade --quiet --no-annotate --only-binary :all: \
	  --python-version 3.11.0 --custom-compile-command "make lock" \
	  --output-file _build/lock/constraints.txt
	grep -v -e ^cuda- -e ^nvidia- -e ^triton _build/lock/constraints.txt \
	  > constraints.txt

.PHONY: clean
clean: ## Remove the site and the caches
	rm -rf _build build dist *.egg-info .pytest_cache .ruff_cache
	find . -name '.venv*' -prune -o \
	  -name __pycache__ -type d -prune -exec rm -rf {} +

.PHONY: uninstall
uninstall: ## Remove the environments: .venv, .venv-oldest, .venv-colab
	rm -rf .venv .venv-oldest .venv-colab

define CHECK_PYTHON
import sys
if not (3, 11) <= sys.version_info[:2] <= (3, 14):
    sys.exit("$(PYTHON) is Python %d.%d. The course runs on 3.11, 3.12 and "
             "3.13, and on 3.14 where there is a torch for it. Name one of "
             "these: make book PYTHON=python3.11" % sys.version_info[:2])
endef
export CHECK_PYTHON

$(SITE): requirements-site.txt constraints.txt
	@$(PYTHON) -c "$$CHECK_PYTHON"
	$(PYTHON) -m venv .venv
	$(BIN)/python $(PIP_INSTALL) -r requirements-site.txt
	@touch $@

$(INSTALLED): $(SITE) requirements.txt pyproject.toml
	$(BIN)/python $(PIP_INSTALL) -r requirements.txt
	$(BIN)/python $(PIP_INSTALL) $(THIS_COURSE)
	@touch $@

.venv-oldest/installed: requirements.txt requirements-oldest.txt constraints.txt
	@$(PYTHON) -c "$$CHECK_PYTHON"
	$(PYTHON) -m venv --clear .venv-oldest
	.venv-oldest/bin/python $(PIP_INSTALL) -r requirements.txt
	.venv-oldest/bin/python $(PIP_INSTALL) -r requirements-oldest.txt
	.venv-oldest/bin/python $(PIP_INSTALL) $(THIS_COURSE)
	@touch $@

.venv-colab/installed: requirements-colab.txt
	$(COLAB_PYTHON) -m venv --clear .venv-colab
	.venv-colab/bin/python $(PIP_INSTALL) -r requirements-colab.txt
	@touch $@
