# Everything runs from .venv.  Its stamp is named after what pyproject.toml and constraints.txt say,
# so that a second call installs nothing.  To use another Python: make PYTHON=<program>
PYTHON ?= $(firstword $(foreach p,python3.11 python3.12 python3.13 python3.14 python3 python,\
	$(shell $(p) -c 'import sys, venv, ensurepip; sys.version_info >= (3, 11) and print("$(p)")' 2>/dev/null)))
STAMP := .venv/.installed-$(shell cat pyproject.toml constraints.txt | cksum | tr ' ' '-')

# What is compiled is kept, whatever the user has set: here every test process starts on it.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo test check lint fmt bench clean

demo: $(STAMP) # kill every actor on a real Ray, once, and judge what happened
	.venv/bin/pasidlab chaos experiments/chaos/kill_everyone.toml

test: $(STAMP) # all tests: the fast ones side by side, then those that need Ray, one after another
	.venv/bin/pytest -m "not live" -n 2
	.venv/bin/pytest -m live

check: lint # what must be clean before a commit, in less than a minute
	.venv/bin/pytest -m "not live and not long" -n 2

lint: $(STAMP) # form, lint, types, floors
	.venv/bin/ruff format --check && .venv/bin/ruff check && .venv/bin/mypy && .venv/bin/lint-imports

fmt: $(STAMP)
	.venv/bin/ruff format && .venv/bin/ruff check --fix

bench: $(STAMP)
	.venv/bin/pasidlab bench

clean: # what the tools left behind; .venv and runs/ stay
	rm -rf build dist .coverage .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find . -name .venv -prune -o -name __pycache__ -prune -exec rm -rf {} +

$(STAMP):
	@test -n "$(PYTHON)" && $(PYTHON) -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' || { \
		echo "pasidlab needs Python 3.11 or newer, with venv and pip; none was found."; \
		echo "Install one (Debian: apt-get install python3-venv), or name it: make PYTHON=<program>"; exit 1; }
	@echo "Setting up .venv with $(PYTHON): some minutes the first time."
	$(PYTHON) -m venv .venv
	.venv/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[live,dev]"
	@rm -f .venv/.installed-* && touch $@
