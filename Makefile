# Everything FinTune needs goes into .venv; nothing outside it is changed (but the model cache, see docs/quickstart.md).
PYTHON ?= $(firstword $(foreach p,python3.11 python3.12 python3.13 python3,$(shell command -v $(p) 2>/dev/null)))
BIN := .venv/bin
CORE := tests/config tests/data tests/evaluation tests/methods/lora tests/runs tests/runtime tests/tasks
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

.PHONY: quickstart test coverage test-all test-lowest smoke lint docs bench clean

quickstart: .venv/.installed  ## fine-tune the embedded model on the built-in headlines, score it, ask it
	$(BIN)/fintune train examples/quickstart.yaml --overwrite
	$(BIN)/fintune predict runs/quickstart "Operating loss narrowed to EUR 2 mn from EUR 9 mn a year earlier." \
	  "Record quarterly sales, but the full-year outlook was cut." "The annual general meeting will be held on 14 May." \
	  "公司扭亏为盈，并上调全年业绩指引。"

test: .venv/.dev  ## the tests: no network, tiny models
	$(BIN)/pytest --numprocesses auto --maxprocesses 4 --dist worksteal

coverage: .venv/.dev  ## the tests again, with what they do not reach; a quarter slower
	$(BIN)/pytest --numprocesses auto --maxprocesses 4 --dist worksteal --cov=fintune --cov-fail-under=90

test-all: .venv/.dev  ## all tests, those with the embedded model too
	$(BIN)/pytest -m "slow or not slow"

test-lowest: .venv-lowest/.installed  ## the core of the tests with the lowest versions of pyproject.toml (torch excepted)
	.venv-lowest/bin/python -m pytest --numprocesses 2 --dist worksteal $(CORE)

smoke: .venv/.dev  ## the few slow tests that CI runs
	$(BIN)/pytest -m smoke

lint: .venv/.dev  ## style, types, generated docs
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/python docs/generate.py --check

docs: .venv/.dev  ## write the generated parts of the docs anew and build the site strictly: site/index.html
	$(BIN)/python docs/generate.py
	$(BIN)/zensical build --strict --clean

bench: .venv/.dev  ## measure; run nothing else meanwhile
	$(PIP) '.[bench]'
	$(BIN)/python -m benchmarks.limit
	$(BIN)/python -m benchmarks.train_speed --json train_speed.json
	$(BIN)/python -m benchmarks.plot train_speed.json docs/benchmarks/train_speed.png

clean:
	rm -rf .venv .venv-lowest site .cache build *.egg-info .coverage .mypy_cache .pytest_cache .ruff_cache

.venv/.torch: constraints.txt
	@test -n "$(PYTHON)" || { echo "error: no python3 found"; echo "next:  install Python 3.11 or newer, or: make PYTHON=/path/to/python"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and f"error: {sys.executable} is {sys.version.split()[0]}, FinTune needs 3.11 or newer\nnext:  make PYTHON=/path/to/python3.11")'
	$(PYTHON) -m venv .venv
	$(PIP) torch  # the version in constraints.txt, before anything asks for another
	@touch $@

.venv/.installed: .venv/.torch pyproject.toml
	$(PIP) --editable '.[embedded]'
	@touch $@

.venv/.dev: .venv/.installed
	$(PIP) --editable '.[embedded,dev]'
	@touch $@

# An older torch would be a CUDA build of gigabytes, so it stays at the version of constraints.txt.
.venv-lowest/.installed: constraints.txt pyproject.toml
	$(PYTHON) -m venv --clear .venv-lowest
	.venv-lowest/bin/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt torch uv
	.venv-lowest/bin/python -c 'import torch; print("torch==" + torch.__version__)' > .venv-lowest/torch.txt
	.venv-lowest/bin/uv pip install --quiet --python .venv-lowest/bin/python $(addprefix --find-links ,$(PIP_FIND_LINKS)) \
	  --resolution lowest-direct --override .venv-lowest/torch.txt --editable '.[embedded,dev]'
	@touch $@
