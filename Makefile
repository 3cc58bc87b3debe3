# `make` alone lists the targets. Everything that recpipe computes goes to RECPIPE_HOME (default ./.recpipe).
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules

PYTHON ?= python3.11
UV := .venvs/uv/bin/uv
UV_VERSION := 0.13.9
ENVIRONMENTS := reader spark train airflow
PEERS := rectools lenskit recommenders
READY := $(ENVIRONMENTS:%=.venvs/%/.ready) .venvs/spark/jars/.ready .venvs/spark/.archived
RECPIPE := .venvs/reader/bin/recpipe
COMPILE := $(UV) pip compile pyproject.toml --quiet --python-version 3.11 --generate-hashes --no-emit-index-url \
	--no-header --no-annotate

export UV_PYTHON_DOWNLOADS := never
export UV_NO_PROGRESS := 1
# Once here, else every process of a night where Python may not write bytecode compiles its imports anew (3 s of a job).
export UV_COMPILE_BYTECODE := 1

.PHONY: help setup java demo up down backfill test test-slow slow-nights slow-beside check-backfill check-gate check-metrics bench-ingest bench-nightly bench-quality bench-ablation bench-protocols bench-feeding bench-peer lint lock clean

help: ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):[^#]*## /\1\t/' | expand -t 16

setup: java $(READY) ## Build the four environments under .venvs/ and fetch Delta's JARs; nothing to do the second time

java:
	@version="$$("$${JAVA_HOME:+$$JAVA_HOME/bin/}java" -version 2>&1 | sed -nE 's/.* version "([0-9]+).*/\1/p' || true)"; \
	case "$$version" in 17|21) exit 0;; esac; \
	if [ -z "$$version" ] && [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	  echo "setup: installing Java 17"; \
	  apt-get update -qq >/dev/null && apt-get install -qq -y openjdk-17-jre-headless >/dev/null; \
	else \
	  echo "setup: expected Java 17 or 21, found $${version:-none}; install it (Debian, Ubuntu: sudo apt-get install openjdk-17-jre-headless) or point JAVA_HOME at one" >&2; \
	  exit 2; \
	fi

$(UV):
	@command -v $(PYTHON) >/dev/null || { echo "setup: expected Python 3.11 as '$(PYTHON)', found none; install it, or name it: make setup PYTHON=/path/to/python3.11" >&2; exit 2; }
	@$(PYTHON) -m venv .venvs/uv || { echo "setup: '$(PYTHON) -m venv' failed; install it (Debian, Ubuntu: sudo apt-get install python3-venv)" >&2; exit 2; }
	@.venvs/uv/bin/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)

.venvs/%/.ready: docker/locks/%.txt docker/locks/dev.txt pyproject.toml | $(UV)
	@echo "setup: environment $*"
	@$(UV) venv --quiet --allow-existing --python $(PYTHON) .venvs/$*
	@$(UV) pip sync --quiet --python .venvs/$*/bin/python --require-hashes docker/locks/$*.txt docker/locks/dev.txt
	@$(UV) pip install --quiet --python .venvs/$*/bin/python --no-deps --editable .
	@touch $@

.venvs/spark/jars/.ready: docker/locks/jars.ivy.xml docker/locks/jars.sha256 docker/ivysettings.xml | java .venvs/spark/.ready
	@echo "setup: Delta's JARs"
	@rm -rf .venvs/spark/jars && mkdir -p .venvs/spark/jars
	@"$${JAVA_HOME:+$$JAVA_HOME/bin/}java" -cp "$$(echo .venvs/spark/lib/python3.11/site-packages/pyspark/jars)/*" org.apache.ivy.Main \
	  -settings docker/ivysettings.xml -cache .venvs/spark/ivy -ivy docker/locks/jars.ivy.xml -types jar \
	  -retrieve '.venvs/spark/jars/[organisation]_[artifact]-[revision].[ext]' > .venvs/spark/ivy.log 2>&1 \
	  || { echo "setup: could not fetch Delta's JARs from Maven Central; see .venvs/spark/ivy.log" >&2; exit 2; }
	@cd .venvs/spark/jars && $$(command -v sha256sum || echo shasum -a 256) --check --quiet ../../../docker/locks/jars.sha256
	@rm -rf .venvs/spark/ivy && touch $@

.venvs/spark/.archived: .venvs/spark/.ready .venvs/spark/jars/.ready
	@echo "setup: Spark's classes"
	@.venvs/spark/bin/python -m recpipe.class_archive > .venvs/spark/archive.log 2>&1 \
	  || echo "setup: no class archive, so Spark starts some seconds later; see .venvs/spark/archive.log" >&2
	@touch $@

demo: setup ## A sample shop, three nights by Airflow, recommendations on the screen
	@$(RECPIPE) demo

up: setup ## Start Airflow (page on 127.0.0.1) with the nightly DAG
	@$(RECPIPE) up $(if $(UNTIL),--until $(UNTIL))

down: setup ## Stop Airflow and all that it started
	@$(RECPIPE) down

backfill: setup ## Run the nightly DAG for FROM=2024-03-08 TO=2024-03-10 by Airflow's own backfill
	@$(RECPIPE) backfill $(if $(FROM),--from $(FROM)) $(if $(TO),--to $(TO)) $(if $(FULL_REFRESH),--full-refresh)

test: setup ## All tests in all environments, one summary
	@.venvs/reader/bin/python -m pytest

test-slow: setup ## Nights in any order, kills, a real Airflow backwards, every real file, nights of refused candidates; 50 minutes, run by hand
	@$(MAKE) --no-print-directory -j2 slow-nights slow-beside # a night leaves half of two cores idle

slow-nights:
	@.venvs/reader/bin/python -m pytest -s tests/slow/test_orders.py tests/slow/test_kills.py # -s: points as they are tried

slow-beside:
	@.venvs/reader/bin/python -m pytest tests/slow/test_backfill.py tests/slow/test_real_nights.py tests/slow/test_real_files.py tests/slow/test_refused_candidates.py

check-backfill: setup ## Four days by a real Airflow forward and backwards; exits 0 only when every table is equal
	@.venvs/reader/bin/python -m tests.slow.check_backfill

bench-ingest: setup ## Ingest of a million reviews beside DuckDB reading the same file; minutes, run by hand
	@.venvs/spark/bin/python -m tests.benchmarks.ingest

bench-nightly: setup ## First load and a night at a million and at eight million reviews; half an hour, run by hand
	@.venvs/reader/bin/python -m tests.benchmarks.nightly $(BENCH)

bench-quality: setup ## Ranking of public data beside published figures; DATA=beauty SEEDS=1 for a part, else hours; goes on where it was
	@.venvs/train/bin/python -m tests.benchmarks.quality $(if $(DATA),--data $(DATA)) $(if $(SEEDS),--seeds $(SEEDS))

bench-ablation: setup ## What each idea of the model is worth on public data, by validation; goes on where it was; two hours
	@.venvs/train/bin/python -m tests.benchmarks.ablation

check-gate: setup ## Which candidates the gate lets in and which not, simulated and trained and then broken: a line a case
	@.venvs/train/bin/python -m pytest -v --no-header -p no:cacheprovider tests/evaluation/test_gate.py tests/model/test_refused_candidates.py

bench-protocols: setup ## How much a random split flatters beside cuts in time, on public reviews; DATA=beauty for a part; seconds
	@.venvs/train/bin/python -m tests.benchmarks.protocols $(if $(DATA),--data $(DATA))

check-metrics: setup $(PEERS:%=.bench/agreement/%/.ready) ## Whether RecTools, LensKit and Recommenders give the same metrics; minutes
	@.venvs/train/bin/python -m tests.benchmarks.agreement

# A peer that cannot be installed stops nothing here: the comparison says so, and fails.
.bench/agreement/%/.ready: tests/benchmarks/agreement/%.txt | $(UV)
	@echo "check-metrics: the environment of $*"
	@mkdir -p $(@D) && rm -f $@
	@{ $(UV) venv --quiet --allow-existing --python $(PYTHON) $(@D) \
	  && $(UV) pip sync --quiet --python $(@D)/bin/python $< && touch $@; } > $(@D).log 2>&1 || true

bench-feeding: setup ## An epoch fed by Petastorm beside one from memory, on public data; ten minutes, run by hand
	@.venvs/train/bin/python -m tests.benchmarks.feeding

bench-peer: setup .bench/peer/venv/.ready ## Time to the quality of RecTools' SASRec, beside its own; BENCH="--epochs 5" for a part, else hours; goes on where it was
	@.venvs/train/bin/python -m tests.benchmarks.peer $(BENCH)

.bench/peer/venv/.ready: tests/benchmarks/peer/requirements.txt | $(UV)
	@echo "bench-peer: the peer's environment"
	@$(UV) venv --quiet --allow-existing --python $(PYTHON) .bench/peer/venv
	@$(UV) pip sync --quiet --python .bench/peer/venv/bin/python $<
	@touch $@

lint: setup ## Style and likely faults (ruff)
	@.venvs/reader/bin/ruff format --check --quiet . && .venvs/reader/bin/ruff check --quiet .

lock: $(UV) ## Lock pyproject's pins into docker/locks; versions there that still fit stay, unless you remove the .txt files first
	@$(COMPILE) --extra dev --output-file docker/locks/dev.txt
	@$(COMPILE) --constraint docker/locks/dev.txt --output-file docker/locks/reader.txt
	@for extra in spark train airflow; do \
	  $(COMPILE) --extra $$extra --constraint docker/locks/dev.txt --output-file docker/locks/$$extra.txt; \
	done

clean: ## Remove the environments (never RECPIPE_HOME, nor the runs that benchmarks keep)
	@rm -rf .venvs .bench/agreement .bench/peer/venv
