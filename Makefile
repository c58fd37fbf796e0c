# The one entry. `make help` lists the everyday targets.
.DEFAULT_GOAL := help
root := tools/root exec
preset ?= debug

.PHONY: help build check test unit format

help: ## this list
	@awk -F':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

build: ## compile everything (preset=debug|release|asan|tsan)
	@$(root) tools/build $(preset)

unit: build ## the C++ suites
	@mkdir -p build/test-results && chmod 1777 build/test-results
	@$(root) tools/run-suites $(preset) build/test-results

check: ## format, lint and house rules
	@$(root) tools/check

test: ## every check and every suite
	@tools/test

format: ## clang-format over the C++ sources
	@$(root) bash -c 'git ls-files "*.cpp" "*.hpp" | xargs clang-format-19 -i'
