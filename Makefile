# Every target prepares what it needs; only Python 3.11 or newer has to be there.
# Variables can be given on the command line: make run HTTPS=0.0.0.0:8443 SERVER_NAME=pki.example.org

VENV ?= .venv
DATA ?= data
HTTP ?= 127.0.0.1:8080
HTTPS ?= 127.0.0.1:8443
# Has a dot, because linters call a single label an error, and leads to this machine anyway.
SERVER_NAME ?= pki.localhost
# One more than cores of a small machine: many tests wait for servers and disks.
WORKERS ?= 3
PYTEST_ARGS ?=
# How long a fuzz target (60) or a part of a benchmark (3) runs.
SECONDS ?=
TARGETS ?=

BIN = $(VENV)/bin

.DEFAULT_GOAL := help
.PHONY: help run install set-up test lint docs fuzz bench demo lock clean

help:  ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' Makefile

run:  ## Start a server with a ready two-level PKI in ./data; Ctrl-C stops it
	@scripts/set-up "$(VENV)" run
	@exec "$(BIN)/pikaserver" up --yes --data "$(DATA)" --http "$(HTTP)" --https "$(HTTPS)" --hostname "$(SERVER_NAME)"

install:  ## Prepare the environment for running, in .venv
	@scripts/set-up "$(VENV)" run

set-up:  ## Prepare the environment for working on the code
	@scripts/system-packages
	@scripts/set-up "$(VENV)" test
	@scripts/fetch-openssl .tools/openssl
	@scripts/fetch-bouncycastle .tools/bouncycastle
	@scripts/fetch-lego .tools/lego

lint:  ## Check style and types
	@scripts/set-up "$(VENV)" test
	"$(BIN)/ruff" format --check .
	"$(BIN)/ruff" check .
	"$(BIN)/mypy"

docs:  ## Build the documentation in docs/_build/html; a warning is an error
	@scripts/set-up "$(VENV)" test
	"$(BIN)/sphinx-build" -q -W --keep-going -b html docs docs/_build/html

test: set-up lint docs  ## Do all set-up, then run every check and every test
	@scripts/run-tests "$(BIN)" $(WORKERS) $(PYTEST_ARGS)

fuzz:  ## Feed every parser SECONDS of mutated input; what is found lies in .fuzz
	@scripts/set-up "$(VENV)" test
	"$(BIN)/python" -m tests.fuzz.run --seconds $(or $(SECONDS),60) $(TARGETS)

demo:  ## Play the whole story with real clients and print each step
	@scripts/system-packages
	@scripts/set-up "$(VENV)" run
	@scripts/fetch-openssl .tools/openssl
	@PATH="$(abspath $(BIN)):$$PATH" scripts/demo

bench: install  ## Measure against limits and peers; see benchmarks/README.md
	@for script in enroll est scep storage livez ocsp tsa acme crl post_quantum frames audit search start agent; do \
	  PATH="$(abspath $(BIN)):$$PATH" "$(BIN)/python" benchmarks/$$script.py --seconds $(or $(SECONDS),3) || exit; \
	done

lock:  ## Resolve the dependencies anew and write the lock files
	@scripts/lock

clean:  ## Remove what was built; data and the environment stay
	rm -rf build dist docs/_build .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -not -path './$(VENV)/*' -not -path './.tools/*' -prune -exec rm -rf {} +
