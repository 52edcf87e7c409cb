# `make demo` and `make test` set up what they need; everything lives in .venv and .cache, which git ignores.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
COVER ?= --cov --cov-report=term

.DEFAULT_GOAL := help
.PHONY: audit bench chaos fuzz soak help demo test lint unit test-openstack test-container test-docs test-lowest test-page test-wheel test-asyncapi asyncapi completion sbom clean properties week

help: ## what there is to make
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 18

demo: $(VENV)/run.stamp ## the whole product on a local sandbox cloud, with the sample events
	@$(BIN)/python -P -m doorman.sandbox --demo

test: lint unit ## all checks and tests

lint: $(VENV)/dev.stamp
	@$(BIN)/ruff format --check --quiet .
	@$(BIN)/ruff check --quiet .
	@$(BIN)/mypy --cache-dir .cache/mypy
	@$(BIN)/lint-imports --cache-dir .cache/imports

unit: $(VENV)/dev.stamp
	@$(BIN)/pytest --numprocesses auto --dist worksteal $(COVER) -o cache_dir=.cache/pytest

test-docs: $(VENV)/dev.stamp ## links, commands, settings and budgets of the pages, and the samples; seconds
	@$(BIN)/pytest --no-cov tests/test_docs.py tests/test_house.py tests/test_examples.py tests/test_pipelines.py -o cache_dir=.cache/pytest

test-container: $(VENV)/dev.stamp ## the image's own steps and start-up, without a container engine; Linux, as root
	@$(BIN)/python -m tests.container.prove

asyncapi: $(VENV)/dev.stamp ## write docs/asyncapi.yaml out of the models
	@mkdir -p .cache && $(BIN)/python -m docs.asyncapi > .cache/asyncapi.yaml && mv .cache/asyncapi.yaml docs/asyncapi.yaml

completion: $(VENV)/dev.stamp ## write the shells' completion out of the command's parsers
	@$(BIN)/python -m docs.completion

test-asyncapi: ## have the AsyncAPI project's own parser read docs/asyncapi.yaml; needs npm
	@mkdir -p .cache/asyncapi
	@npm install --silent --no-audit --no-fund --no-package-lock --prefix .cache/asyncapi @asyncapi/parser@3.6
	@cd .cache/asyncapi && node ../../tests/asyncapi/validate.mjs ../../docs/asyncapi.yaml

sbom: $(VENV)/bin/python ## what the image installs, with licences, as CycloneDX: .cache/doorman.cdx.json
	@rm -rf .cache/sbom && $(BIN)/python -m venv --without-pip .cache/sbom/image
	@$(BIN)/python -m pip --quiet --disable-pip-version-check --python .cache/sbom/image/bin/python install \
	  --require-hashes --only-binary :all: --requirement requirements.txt
	@$(BIN)/python -m venv .cache/sbom/tool
	@.cache/sbom/tool/bin/pip --quiet --disable-pip-version-check install 'cyclonedx-bom>=7.2,<8'
	@.cache/sbom/tool/bin/cyclonedx-py environment --pyproject pyproject.toml --output-reproducible \
	  --output-format JSON --output-file .cache/doorman.cdx.json .cache/sbom/image/bin/python
	@echo ".cache/doorman.cdx.json"

audit: $(VENV)/bin/python ## ask the public advisory database about everything that is pinned; needs a network
	@$(BIN)/python -m venv .cache/audit
	@.cache/audit/bin/pip --quiet --disable-pip-version-check install 'pip-audit>=2.9,<3'
	@for pins in requirements*.txt; do echo "$$pins" && .cache/audit/bin/pip-audit --strict --disable-pip --require-hashes --requirement "$$pins" || exit 1; done

test-wheel: $(VENV)/dev.stamp ## build the wheel, and use it where there is nothing else
	@$(BIN)/pytest tests/wheel -o cache_dir=.cache/pytest

test-page: $(VENV)/dev.stamp ## the sandbox's page in a real browser; needs Debian's chromium and chromium-driver
	@$(BIN)/pytest tests/page -o cache_dir=.cache/pytest

LOWEST := .cache/venv-lowest
test-lowest: ## all tests with the lowest version of each dependency that pyproject.toml allows
	@$(MAKE) --no-print-directory VENV=$(LOWEST) $(LOWEST)/bin/python
	@sed '1,/^dependencies/d; /^\[dependency-groups/,$$d' pyproject.toml | sed -nE 's/^  "([a-z0-9-]+)>=([0-9.]+),.*/\1==\2/p' > $(LOWEST)/pins.txt
	@$(MAKE) --no-print-directory VENV=$(LOWEST) $(LOWEST)/dev.stamp
	@$(LOWEST)/bin/pytest --numprocesses auto --dist worksteal --ignore tests/container -o cache_dir=.cache/pytest # which compares with the pins

test-openstack: $(VENV)/dev.stamp ## on a real Keystone and Glance, installed below .cache at the first time
	@$(BIN)/python tests/openstack/install.py
	@$(BIN)/pytest tests/openstack -o cache_dir=.cache/pytest

bench: $(VENV)/bin/python ## measure everything, and write the figures into docs; eight minutes
	@# beside what the functions run with only the vendor's client: what else is installed would slow down the start
	@$(BIN)/python -m venv .cache/bench
	@.cache/bench/bin/pip install --quiet --quiet --disable-pip-version-check --requirement requirements.txt
	@.cache/bench/bin/pip install --quiet --quiet --disable-pip-version-check 'huaweicloudsdkims>=3.1.190,<4'
	@.cache/bench/bin/python bench/report.py $(BENCH)

chaos: $(VENV)/dev.stamp ## 5,000 shares, 20 kills, 20 % faults; SEED=7 plays another storm, SHARES=600 KILLS=6 a smaller one
	@$(BIN)/python -m tests.chaos.storm --seed $(or $(SEED),1) --shares $(or $(SHARES),5000) --kills $(or $(KILLS),20)

fuzz: $(VENV)/dev.stamp ## a minute of mutants for everything that reads foreign bytes; SEED=7 plays others
	@$(BIN)/python -m tests.fuzz.fuzz $(if $(SEED),--seed $(SEED)) $(if $(INPUTS),--inputs $(INPUTS))

properties: $(VENV)/dev.stamp ## what holds for every input, with 2,000 of each kind that were not drawn before
	@$(BIN)/pytest --no-cov --numprocesses auto -m hypothesis --hypothesis-profile soak -o cache_dir=.cache/pytest

week: $(VENV)/dev.stamp ## what people are told in a week, with a tick every five minutes
	@TICK=5 $(BIN)/pytest --no-cov -o cache_dir=.cache/pytest tests/handlers/test_notify.py

SOAK := .cache/soak.txt
soak: ## what takes hours: ten storms of 5,000 shares, a million mutants, the lowest versions; says what it found last
	@mkdir -p .cache && if [ -e $(SOAK) ]; then echo "the last time:" && cat $(SOAK); else echo "not run here before"; fi
	@echo "$$(date -u +%FT%TZ) began at $$(git describe --always --dirty)" > $(SOAK)
	@for each in $(patsubst %,chaos:SEED=%,1 2 3 4 5 6 7 8 9 10) fuzz:INPUTS=1000000 properties: week: test-lowest:; do \
	  $(MAKE) --no-print-directory $$(echo "$$each" | tr : ' ') && found=held || found='DID NOT HOLD'; \
	  echo "$$(date -u +%FT%TZ) $$each $$found" >> $(SOAK); \
	done; cat $(SOAK); ! grep -q NOT $(SOAK)

clean: ## forget everything that was set up
	rm -rf $(VENV) .cache

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Python 3.11 or newer is needed")'
	@$(PYTHON) -m venv $(VENV)

# The same versions as in the image: what passes today passes tomorrow.
$(VENV)/pins.txt: requirements-otel.txt | $(VENV)/bin/python
	@sed -nE 's/^([a-z0-9-]+==[^ ]+).*/\1/p' $< > $@

$(VENV)/run.stamp: pyproject.toml $(VENV)/pins.txt
	@echo "Installing Doorman into $(VENV) ..."
	@$(BIN)/pip install --quiet --quiet --disable-pip-version-check --constraint $(VENV)/pins.txt --editable .
	@touch $@

$(VENV)/dev.stamp: pyproject.toml $(VENV)/pins.txt
	@echo "Installing Doorman and its development tools into $(VENV) ..."
	@$(BIN)/pip install --quiet --quiet --disable-pip-version-check 'pip>=25.1' # which knows groups
	@$(BIN)/pip install --quiet --quiet --disable-pip-version-check --constraint $(VENV)/pins.txt --editable '.[otel]' --group dev
	@touch $@ $(VENV)/run.stamp
