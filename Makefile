# Everything runs in .venv, which is made where it is missing. PYTHON=python3.11 asks for one interpreter.

.DEFAULT_GOAL := help
.PHONY: help venv demo test check test-slow format clean distclean
MAKEFLAGS += --no-print-directory

help:  ## what there is to make
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-10s %s\n", $$1, $$2 }' Makefile

venv:  ## .venv with inrcodec and its tools
	@scripts/install

demo: venv  ## encode Bunny, decode it, compare with x265; results in demo/
	@.venv/bin/python scripts/demo.py

test: venv  ## lint, format, types and tests: what CI runs
	@scripts/check

check: test  ## the same as make test

test-slow: venv  ## the tests that take more than a minute
	@scripts/test-slow

format: venv  ## put the sources into shape
	@.venv/bin/ruff check --quiet --fix . && .venv/bin/ruff format .

clean:  ## remove caches, built files and demo/
	@rm -rf build dist demo *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
	@find . -path ./.venv -prune -o -type d -name __pycache__ -exec rm -rf {} +

distclean: clean  ## make clean, and remove .venv
	@rm -rf .venv
