# `make help` says what each of these does.
.DEFAULT_GOAL := help
.PHONY: help run demo test lint fmt token contracts lock setup clean distclean faults mutants bench abdm-check bench-matching

DAY ?= data/day.jsonl
ROLE ?= desk
FACILITY ?=
SUBJECT ?=
PATIENT ?=
PY := .venv/bin/python
TESTS ?=
# Two at a time, a file in one piece; one after the other where you say which, or lend a broker or store of yours.
PARALLEL := $(if $(TESTS)$(KAFKA_BOOTSTRAP)$(MONGODB_URI),,-n 2 --dist loadfile)

help: ## This list
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: setup ## Start everything, play a day (DAY=data/day.jsonl), serve until Ctrl-C
	@exec $(PY) -m deploy.local run --day "$(DAY)"

demo: setup ## Start everything, play a day, check it, stop; the last line is one JSON object
	@exec $(PY) -m deploy.local demo --day "$(DAY)"

test: setup ## Every test (TESTS=tests/unit for some)
	@$(PY) -m deploy.local fetch
	@exec $(PY) -m pytest -q $(PARALLEL) $(TESTS)

lint: setup ## ruff, mypy strict, import-linter
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy
	.venv/bin/lint-imports

fmt: setup ## Format, and fix what can be fixed
	$(PY) -m ruff format .
	$(PY) -m ruff check --fix .

token: setup ## A development token: ROLE=doctor FACILITY=LA-LEH-CHC-KHALTSI (SUBJECT=, PATIENT=)
	@$(PY) -m deploy.local token --role "$(ROLE)" --facility "$(FACILITY)" --subject "$(SUBJECT)" --patient "$(PATIENT)"

contracts: setup ## Write the JSON Schemas and AsyncAPI anew from libs/contracts
	$(PY) -m libs.contracts.generate

lock: ## Write locks/ anew from pyproject.toml (needs uv)
	@command -v uv >/dev/null || { echo "uv is missing: pipx install uv" >&2; exit 1; }
	uv pip compile --quiet --generate-hashes --no-emit-index-url --no-header --python-version 3.11 -o locks/run.txt pyproject.toml
	uv pip compile --quiet --generate-hashes --no-emit-index-url --no-header --python-version 3.11 --extra dev -c locks/run.txt -o locks/dev.txt pyproject.toml

setup:
	@deploy/local/setup.sh

ROUNDS ?= 30
SEED ?=
ONLY ?=

faults: setup ## Load while something real is hit, then count what is lost or doubled: ROUNDS=30 SEED=
	@$(PY) -m deploy.local fetch
	@exec $(PY) -m tests.faults --rounds $(ROUNDS) $(if $(SEED),--seed $(SEED))

mutants: setup ## Switch each known bug on; the suite must notice (ONLY=name for one)
	@$(PY) -m deploy.local fetch
	@exec $(PY) -m tests.mutants $(if $(ONLY),--only $(ONLY))

URL ?=
HIP ?=
LISTEN ?=
WITHOUT ?=
ABDM_OPTIONS ?=

abdm-check: setup ## Play the ABDM gateway against a facility system, ours or another: URL= (HIP= LISTEN= WITHOUT=)
	@exec $(PY) -m tools.abdm_check $(URL) $(if $(HIP),--hip $(HIP)) $(if $(LISTEN),--listen $(LISTEN)) \
		$(if $(WITHOUT),--without $(WITHOUT)) $(ABDM_OPTIONS)

bench-matching: setup ## Who is this? Precision, recall and time over hill people: SEED=
	@exec $(PY) -m bench.matching $(if $(SEED),--seed $(SEED))

bench: setup ## Measure ourselves and our rivals, side by side (ONLY=register,relay)
	@$(PY) -m deploy.local fetch
	@exec $(PY) -m bench $(if $(ONLY),--only $(ONLY))

clean: ## Stop what was left running and remove the state (.local; in your own store only our four databases)
	@if [ -x $(PY) ]; then $(PY) -m deploy.local clean; else rm -rf .local; fi

distclean: clean ## clean, and remove the virtual environment and caches
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
