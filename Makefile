# `make` alone lists the commands. BIN is the folder of the tools: `make BIN=/path/to/venv/bin test`.
BIN ?= .venv/bin
.DEFAULT_GOAL := help
.PHONY: help setup lint format types docs kernels test test-all test-mpi gpu bench check ci

help: ## list these commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  %-9s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: ## make .venv, install tagi in editable form with the developers' tools, and the commit hooks
	python3 -m venv .venv
	.venv/bin/pip install -e ".[dev]"
	.venv/bin/pre-commit install

format: ## rewrite the sources in the project's format and mend what ruff can mend
	$(BIN)/ruff format
	$(BIN)/ruff check --fix

lint: ## format, lint, import contracts, generated pages up to date; changes nothing
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/lint-imports --no-cache
	$(BIN)/python docs/reference.py --check

types: ## static types, strict
	$(BIN)/mypy
	$(BIN)/mypy benchmarks/*.py

docs: ## write docs/configuration.md and, into site/, the site; needs the extra `docs`
	$(BIN)/python docs/reference.py
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build

kernels: ## compile kernels/*.cu for two GPU generations, without a GPU; needs the extra `kernels`
	$(BIN)/python .ci/compile_kernels.py

test: ## the default tests, some five minutes on two cores
	$(BIN)/pytest

test-all: ## with the slow tests too: the built wheel in an environment of its own, long runs
	$(BIN)/pytest -m "not gpu and not mpi"

test-mpi: ## tests that start several ranks; needs the extra `mpi`
	$(BIN)/pytest -m mpi

gpu: ## on a machine with an NVIDIA GPU: its tests, then its figures; under eight minutes
	$(BIN)/python -m pytest tests/gpu -m gpu -W default -q; tested=$$?; \
	$(BIN)/python benchmarks/gpu.py && exit $$tested

bench: ## accuracy on UCI tables: make bench DATA=<folder of UCI sets>
	$(BIN)/python benchmarks/uci.py --data $(DATA)

check: lint types test ## what to run before a commit

ci: ## the whole gate, in fresh environments, as the server runs it
	.ci/run
