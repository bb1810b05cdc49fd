# Chancery. `make` lists what there is to do.
UV = .tools/bin/uv
PYTHON = .venv/bin/python
COMPILE = $(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links --no-header

.DEFAULT_GOAL = help
.PHONY: help demo test up check format lint types imports duplicates fuzz rig bite bench soak lock clean

help:  ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

##@ Run
demo: .venv/runtime  ## set up, start everything, play the story, print what it shows
	@.venv/bin/chancery demo

up: .venv/runtime  ## start the embedded servers, API, work and jobs in the foreground
	@exec .venv/bin/chancery up

##@ Quality
test: .venv/dev  ## every test, in parallel, against real servers
	@$(PYTHON) -m pytest

check: lint types imports duplicates  ## format, lint, types, import rules, repeated code

format: .venv/dev  ## write the one format
	@.venv/bin/ruff format . && .venv/bin/ruff check --fix-only --quiet .

lint: .venv/dev
	@.venv/bin/ruff format --check . && .venv/bin/ruff check .

types: .venv/dev
	@.venv/bin/mypy && .venv/bin/basedpyright

imports: .venv/dev
	@.venv/bin/lint-imports

duplicates: .venv/dev
	@.venv/bin/pylint --disable=all --enable=duplicate-code --min-similarity-lines=8 api application cli domain infrastructure projections workers

fuzz: .venv/dev  ## every operation, right and wrong requests, for MINUTES=3 (SEED=... repeats a run)
	@$(PYTHON) -m tests.fuzzing --minutes $(or $(MINUTES),3) $(if $(SEED),--seed $(SEED))

rig: .venv/dev  ## a whole Chancery under faults for SECONDS=60, judged afterwards (SEED=... repeats a run, PACE=0 strikes denser)
	@$(PYTHON) -m tests.rig --seconds $(or $(SECONDS),60) $(if $(SEED),--seed $(SEED)) $(if $(PACE),--pace $(PACE))

bite: .venv/dev  ## whether the rig, the simulator and the tests notice each deliberate fault of our own code
	@$(PYTHON) -m tests.rig.bite

bench: .venv/dev  ## the figures, one table, one run
	@$(PYTHON) -m bench

soak: .venv/dev  ## a long run at half load, MINUTES=20: what grew, as a table and a plot in docs/
	@$(PYTHON) -m bench soak --minutes $(or $(MINUTES),20)

##@ Set-up
lock:  ## resolve the pins again
	@$(COMPILE) pyproject.toml --group build -o requirements.lock
	@$(COMPILE) pyproject.toml --group build --group dev -c requirements.lock -o requirements-dev.lock

clean:  ## remove what the targets above made
	@rm -rf .tools .venv .chancery .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache chancery.egg-info

$(UV):
	@command -v uv >/dev/null && mkdir -p .tools/bin && ln -sf "$$(command -v uv)" $(UV) || (python3 -m venv .tools && .tools/bin/pip install --quiet uv)

.venv/runtime: $(UV) requirements.lock pyproject.toml
	@[ -x $(PYTHON) ] || $(UV) venv --quiet .venv
	@$(UV) pip install --quiet --python $(PYTHON) --no-deps --require-hashes -r requirements.lock
	@$(UV) pip install --quiet --python $(PYTHON) --no-deps --no-build-isolation --editable .
	@touch $@

.venv/dev: .venv/runtime requirements-dev.lock
	@$(UV) pip install --quiet --python $(PYTHON) --no-deps --require-hashes -r requirements-dev.lock
	@touch $@
