# The project's commands. Node itself comes with the packages: nothing here uses the machine's own.
export PATH := $(CURDIR)/node_modules/.bin:$(PATH)
SHELL := /bin/bash
.DELETE_ON_ERROR:

TESTS := test/tidy.test.ts $(shell find test -name '*.test.ts' -not -path 'test/docker/*' -not -name tidy.test.ts | LC_ALL=C sort)
DOCKER_TESTS := $(shell find test -path 'test/docker/*' -name '*.test.ts' | LC_ALL=C sort)
# Those that go on for as long as they are told.
SOAK := test/vfs/random-files.test.ts test/vfs/data-engine.test.ts test/fault/survival.test.ts \
	test/fault/power-loss.test.ts
MINUTES ?= 30
# Test files side by side; each starts servers and mounts of its own.
JOBS ?= 2
PLUGIN ?= juicefs:latest

.PHONY: help run test check unit docker-test soak bench plugin push install uninstall clean format docs

help: ## what can be made
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 14

run: ## start the driver on the embedded default and show it at work
	@test/support/install.sh run
	@exec node src/driver/demo.ts

test: ## install what is missing, check the sources, run all tests
	@test/support/install.sh test
	@$(MAKE) --no-print-directory check
	@node --test --test-concurrency=$(JOBS) $(TESTS) $(DOCKER_TESTS)

check: ## types, linter, format of the sources
	@tsc
	@oxlint --type-aware --deny-warnings
	@prettier --check --log-level warn .

unit: ## all tests but Docker's
	@node --test --test-concurrency=$(JOBS) $(TESTS)

docker-test: ## the tests with a real Docker engine
	@node --test --test-concurrency=1 $(DOCKER_TESTS)

soak: ## random operations for MINUTES=30, 200 kills under load, 1000 mounts and unmounts; some hours
	@test/support/install.sh test
	@JUICEFS_SOAK_SECONDS=$$(( $(MINUTES) * 60 )) JUICEFS_TEST_KILLS=$$(( $(MINUTES) * 3 )) \
		JUICEFS_TEST_POWER_LOSSES=$$(( $(MINUTES) * 3 )) node --test --test-concurrency=$(JOBS) $(SOAK)
	@JUICEFS_TEST_CYCLES=1000 JUICEFS_TEST_KILLS=200 node --test --test-concurrency=1 test/driver/cycles.test.ts test/docker/soak.test.ts

bench: ## compare with the official client; ARGS="--quick --only create"
	@test/support/install.sh test
	@node bench/main.ts $(ARGS)

docs: ## write what is made of the documents from the sources
	@WRITE_DOCS=1 node --test --test-reporter=dot test/cli/manual.test.ts test/driver/manual.test.ts

plugin: ## build the managed plugin and create it in the local engine; PLUGIN=name:tag
	@test/support/install.sh plugin
	@plugin/rootfs.sh
	@docker plugin rm $(PLUGIN) >/dev/null 2>&1 || true
	@docker plugin create $(PLUGIN) plugin/build
	@echo "now: docker plugin enable $(PLUGIN)"

install: ## install the driver as a service of this machine, and the juicefs command
	@test/support/install.sh run
	@plugin/install.sh

uninstall: ## take the service and the command away; what volumes hold stays
	@plugin/uninstall.sh

push: ## give the plugin to the registry that its name begins with; PLUGIN=host/name:tag
	@docker plugin push $(PLUGIN)

format: ## lay the sources out as the check wants them
	@prettier --write --log-level warn .

clean: ## remove what was built here
	rm -rf plugin/build
