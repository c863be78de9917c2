# The two commands are `make serve` and `make test`; both make .venv themselves from requirements.lock.
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.made
# uv is used where it is there; it must not fetch an interpreter of its own.
export UV_PYTHON_DOWNLOADS := never

.PHONY: serve test lint types notebooks store-notebooks bench fuzz soak lock screenshots clean help

help:
	@echo "make serve        start the dashboard and the API"
	@echo "make test         run the test suite"
	@echo "make lint types   check style and types"
	@echo "make notebooks    run the notebooks against their stored outputs"
	@echo "make bench        measure speed, beside peers; stores bench.json"
	@echo "make fuzz         the long runs of the randomised tests"
	@echo "make soak         50 hours of faults in virtual time, 100 killed processes"
	@echo "make screenshots  make the pictures of the README anew (needs chromium)"
	@echo "make lock         pin the dependencies of pyproject.toml anew (needs uv)"

.venv: $(STAMP)

$(STAMP): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed; name it with: make PYTHON=/path/to/python3"; exit 1; }
	@if command -v uv >/dev/null 2>&1; then \
		uv venv --quiet --clear --python $(PYTHON) .venv && \
		uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements.lock && \
		uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation -e . ; \
	else \
		$(PYTHON) -m venv --clear .venv && \
		$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock && \
		$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e . ; \
	fi
	@$(BIN)/python -m marketstream warm
	@touch $(STAMP)

serve: $(STAMP)
	@exec $(BIN)/marketstream serve

test: $(STAMP)
	$(BIN)/python -m pytest --nbval $(ARGS)

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(STAMP)
	$(BIN)/mypy

notebooks: $(STAMP)
	$(BIN)/python -m pytest --nbval notebooks

store-notebooks: $(STAMP)
	$(BIN)/python notebooks/store.py

bench: $(STAMP)
	OPENBLAS_NUM_THREADS=1 $(BIN)/python tests/performance/bench.py --output bench.json

fuzz: $(STAMP)
	MARKETSTREAM_FUZZ=2000 $(BIN)/python -m pytest -s -q --timeout 7200 tests/rationale/test_narrator.py \
		tests/rationale/test_detection.py tests/providers/test_registry_property.py \
		tests/streaming/test_bus_histories.py tests/streaming/test_lane_histories.py
	for seed in $$(seq 20); do \
		$(BIN)/python -m pytest -q --timeout 600 -m hypothesis --hypothesis-seed=$$seed tests || exit 1; done

soak: $(STAMP)
	MARKETSTREAM_SOAK=50 $(BIN)/python -m pytest -s -q --timeout 7200 tests/virtual tests/history -m soak

screenshots: $(STAMP)
	$(BIN)/python docs/screenshots.py

lock:
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header \
		--extra dev pyproject.toml -o requirements.lock

clean:
	rm -rf .venv build *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
