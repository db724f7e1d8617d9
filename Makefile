# Two commands for a newcomer: make demo, make test.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: install demo test test-slow docs gpu-check lint format clean

install: $(STAMP)

# The CPU build of torch where no GPU driver is found: the package index's own build brings several GB of CUDA.
$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed, $(PYTHON) is older: make PYTHON=python3.12 ..."; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --upgrade pip
	$(BIN)/pip install --quiet -c constraints.txt torch
	$(BIN)/pip install --quiet -c constraints.txt -e '.[dev]'
	touch $@

demo: install
	$(BIN)/lab decide datasets/handbook --methods zero_shot,few_shot,rag,lora --sizes 400 --ranks 16 --seeds 1 --fresh --out lab-reports/demo
	@echo "This was nano, the lab's calibration weight. A real model: . $(BIN)/activate; lab get smollm2-135m minilm; lab decide datasets/handbook --model smollm2-135m --embedder minilm --sizes 100 --items 100"

# Files in their own order: few tests in a browser take longer than many others, and would come last by their number.
test: install
	$(BIN)/ruff check lab tests notebooks reports docs
	$(BIN)/ruff format --check --quiet lab tests notebooks reports docs || { echo "make format writes the house's layout"; exit 1; }
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder -m "not slow and not gpu"

test-slow: install
	$(BIN)/python -m pytest -n 2 --dist worksteal -m "slow"

# make test builds the site as well (tests/test_docs.py); a link that leads nowhere ends either.
docs: install
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict --quiet
	@echo "The site is in site/. To read it: $(BIN)/python -m http.server --bind 127.0.0.1 --directory site"

# On a machine with a GPU; its own packages where the project's environment is not there: make gpu-check OUT=FOLDER
gpu-check:
	PYTHONPATH=. $(or $(wildcard $(BIN)/python),$(PYTHON)) reports/gpu/check.py $(or $(OUT),lab-reports/gpu)

lint: install
	$(BIN)/ruff check lab tests notebooks reports docs

format: install
	$(BIN)/ruff check --fix --select I lab tests notebooks reports docs
	$(BIN)/ruff format lab tests notebooks reports docs

clean:
	rm -rf $(VENV) build site *.egg-info
