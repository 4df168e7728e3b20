# make study    the four flagship studies, their verdicts and one HTML page
# make test     linter, types, tests
#
# The first call builds an environment from constraints/; PYTHON=python3.13 builds a second one beside it.
# Also: make stress, studies, mutants, bench, tables, clean.
#
# make accelerator OUT=folder    tests, benchmarks and a study on the accelerator of this machine, in 8 minutes
# make wheels                    fetches what `make accelerator` may miss on a machine without a network
#
# `make accelerator` takes the python3 that has JAX for the device, or PYTHON=/path/to/python; SMOKE=1 tries it.

PYTHON ?= python3
VENV := .venv$(if $(filter-out python3,$(PYTHON)),-$(notdir $(PYTHON)))
BIN := $(VENV)/bin

.PHONY: study test types tests stress studies mutants bench tables accelerator wheels clean

study: $(VENV)/installed
	$(BIN)/jaxml run end_of_training minimum_ratio escape barriers
	$(BIN)/jaxml report

test: $(VENV)/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	@$(MAKE) --no-print-directory --jobs 2 types tests

types: # one core's work, beside the tests
	$(BIN)/pyright --pythonpath $(BIN)/python

tests:
	$(BIN)/pytest -n 2 --no-loadscope-reorder

stress: $(VENV)/installed-bench # the second time, programs are compiled as a user's are
	$(BIN)/pytest -n 2 --no-loadscope-reorder -m "stress and not device and not bench"
	JAXML_TEST_AS_SHIPPED=1 $(BIN)/pytest -n 2 --no-loadscope-reorder -m "device or bench"

studies: $(VENV)/installed # the SMOKEs that `make test` leaves out
	$(BIN)/pytest -n 2 --no-loadscope-reorder -m smoke tests/test_studies.py

mutants: $(VENV)/installed # a hundred mistakes, planted in a copy: which does no test notice?
	$(BIN)/python tests/mutants.py $(if $(SEED),--seed $(SEED))

bench: $(VENV)/installed-bench
	$(BIN)/jaxml bench

tables: $(VENV)/installed
	$(BIN)/jaxml report --readme README.md
	$(BIN)/jaxml report --readme VERDICTS.md

accelerator: # in the environment that is there: nothing is fetched, and nothing is left but OUT
	@"$(PYTHON)" -m jaxml.bench.accelerator "$(OUT)" $(if $(SMOKE),--smoke)

WHEELS := tyro docstring_parser typeguard typing_extensions beartype matfree setuptools wheel

wheels: # pure Python, for any machine
	"$(PYTHON)" -m pip download --quiet --dest wheels --no-deps --only-binary :all: --python-version 3.12 \
	  --implementation py --abi none --platform any -c constraints/py313.txt $(WHEELS)

clean: # runs/ stays
	rm -rf .venv .venv-* build dist wheels *.egg-info .pytest_cache .ruff_cache .hypothesis
	find jaxml experiments tests -name __pycache__ -prune -exec rm -rf {} +

$(VENV)/installed: pyproject.toml $(wildcard constraints/*.txt)
	@command -v "$(PYTHON)" > /dev/null || { \
	  echo "There is no $(PYTHON) here: name a Python 3.11 or newer with make PYTHON=/path/to/python." >&2; exit 1; }
	@"$(PYTHON)" -c 'import sys; v = sys.version_info[:2]; v >= (3, 11) or sys.exit("jaxml needs Python 3.11 or \
	newer and $(PYTHON) is %d.%d: name another with make PYTHON=python3.13." % v)'
	@echo "Installing the pinned packages into $(VENV): a few minutes, once."
	"$(PYTHON)" -m venv $(VENV)
	$(call install,test)
	@touch $@

$(VENV)/installed-bench: $(VENV)/installed
	$(call install,test$(comma)bench)
	@touch $@

comma := ,
install = $(BIN)/python -m pip install --quiet -e '.[$(1)]' \
  -c constraints/$$($(BIN)/python -c 'import sys; print("py311" if sys.version_info < (3, 12) else "py313")').txt
