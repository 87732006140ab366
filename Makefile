# Every command is one line that calls a Python module. It needs only Python 3.10+ and make.
PYTHON ?= python3
STACK ?=
STORY ?=
FORCE ?=
# STACK and STORY reach the sandbox unchanged through the environment: neither make nor a shell may interpret it.
override STACK := $(value STACK)
override STORY := $(value STORY)
export STACK STORY
RUN = $(PYTHON) -m tools.venv -m
SANDBOX = $(RUN) sandbox
# Bytecode of tests is kept even if the environment forbids it, because compiling a test file takes as long as many
# tests.
PYTEST = PYTHONDONTWRITEBYTECODE= $(RUN) pytest

.DEFAULT_GOAL := help
.PHONY: help up demo status status-json env shell preview images images-json down test check types fast bench record pages picture schema clean

help: ## Show the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {gsub(/\$$+/, "$$"); printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo "  STACK=dev|guide|dev-gke|... chooses the stack; the default is the last one that was started, at first dev."
	@echo "  PYTHON=python3.12 chooses the Python that creates .venv."

up: ## Start the environment on this machine; no cloud account needed
	@$(SANDBOX) up

demo: ## Watch a training job scale the GPU pool from zero (STORY=teams, STORY=roll: docs/queues.md)
	@$(SANDBOX) demo

status: ## Show what runs
	@$(SANDBOX) status

status-json: ## The same as JSON, without other output (make -s status-json)
	@$(SANDBOX) status --json

env: ## Print export lines for a shell: eval "$$(make -s env)"
	@$(SANDBOX) env

shell: ## Open a shell in which plain pulumi, kubectl and aws use the sandbox
	@$(SANDBOX) shell

preview: ## Show what `make up` would change
	@$(SANDBOX) preview

images: ## List every container image of a stack file, one per line (make -s images STACK=prod; without STACK: dev)
	@$(RUN) pages.images

images-json: ## The same as JSON, with the upstream of each
	@$(RUN) pages.images --json

down: ## Destroy everything and stop all processes (all stacks, or STACK=...)
	@$(SANDBOX) down $(if $(FORCE),--force)

test: ## Run every test, several files at a time; the slowest are named at the end
	@$(PYTEST) -n auto --maxprocesses 4 --dist loadgroup --no-loadscope-reorder --durations=30 --durations-min=15

check: ## Lint, types and the fast tests, in under a minute
	@$(RUN) ruff check .
	@$(RUN) ruff format --check .
	@$(MAKE) --no-print-directory -j2 types fast

types:
	@$(RUN) pyrefly check

fast:
	@$(PYTEST) -q -n auto -m "not engine and not cluster and not alerts and not docs and not slow"

bench: ## Measure the sandbox against its floor
	@$(RUN) bench

record: ## Record the transcripts of the README and of docs/queues.md again
	@$(RUN) pages.transcripts

pages: ## Write every generated page again: docs/api, and the pictures and the tables of docs/aws.md and docs/gcp.md
	@$(RUN) pages

picture: ## Write the pictures and the tables of docs/aws.md and docs/gcp.md again
	@$(RUN) pages.picture

schema: ## Write plugin/schema.json, from which the SDKs of other languages are generated
	@$(RUN) plugin --schema

clean: ## Remove .venv and caches of this clone (after make down)
	rm -rf .venv .venv.lock .venv.log .pytest_cache .ruff_cache .hypothesis build *.egg-info
