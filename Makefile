# The one entry. `make help` lists the everyday targets.
.DEFAULT_GOAL := help
root := tools/root exec
preset ?= debug

.PHONY: help help-all build check deploy-check promote hooks tidy dev test prove prove-long fuzz bench bench-build bench-check bench-publish bench-sweep unit format up down clean audit logs order stack engine-start engine-stop engine-status cluster cluster-down cluster-status cluster-test counts

help: ## this list
	@awk -F':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo "  make help-all     the rest"

help-all: #- these and the rest
	@awk -F':.*#[#-] ' '/^[a-z-]+:.*#[#-] / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

up: ## build the images, start everything, print how to order
	@tools/up

down: ## stop it; data and engine stay
	@tools/up down

clean: ## stop it, remove its data, stop an engine that we started
	@tools/up clean

audit: ## judge the shop that runs: nothing lost, doubled, oversold or stuck (AUDIT=--at-rest)
	@tools/up audit $(AUDIT)

logs: ## follow the logs (service=NAME for one)
	@tools/up logs $(service)

build: ## compile everything (preset=debug|release|asan|tsan)
	@$(root) tools/build $(preset)

unit: build ## the C++ suites
	@mkdir -p build/test-results && chmod 1777 build/test-results
	@$(root) tools/run-suites $(preset) build/test-results

check: ## format, lint and house rules
	@$(root) tools/check

deploy-check: ## what judges deploy/ and the rules of the repository
	@deploy/check

promote: #- asks by a pull request that TO runs what FROM runs (FROM=staging TO=production)
	@deploy/ci/propose $(or $(FROM),$(error promote: say FROM=staging TO=production)) $(or $(TO),$(error promote: say FROM=staging TO=production))

hooks: ## judge commit messages as you write them (needs Node 20)
	@command -v npm >/dev/null || { echo "hooks: npm is not installed; without it commits are judged by CI alone" >&2; exit 1; }
	@npm ci && echo "hooks: .husky/ is in force (git config core.hooksPath)"

tidy: #- clang-tidy over everything; records the commit in .ci/tidy-base
	@$(root) bash -c 'tools/build debug && tools/clang-tidy all'

dev: ## the platform as debug processes; a saved C++ file restarts its service (DEV='--port N')
	@$(root) tools/dev/dev $(DEV)

test: ## every check and every suite
	@tools/test

prove: ## nothing lost, doubled, oversold or stuck under every fault we know; one page (SEED=n)
	@tools/root with deploy exec deploy/toolbox/build toxiproxy >/dev/null
	@$(root) bash -c 'tools/build debug && tools/build release && tests/resilience/prove --seed $(or $(SEED),1) $(PROVE)'

prove-long: #- the same with pairs of crash points, three seeds, sanitizers, an hour of soak
	@tools/root with deploy exec deploy/toolbox/build toxiproxy >/dev/null
	@$(root) bash -c 'tools/build debug && tools/build release && tests/resilience/prove --long --seed $(or $(SEED),1) $(PROVE)'

fuzz: #- gives the parsers whatever they must survive (FUZZ='--seconds 600 json token')
	@$(root) tests/fuzz/run $(FUZZ)

bench: ## the figures of this machine (15 minutes; BENCH='--only reads --seconds 5')
	@STOA_BENCH_IMAGES="$$(bench/images)" $(root) bash -c 'tools/build release && python3 bench/run.py $(BENCH)'

bench-check: ## does a request or an order cost more than bench/budgets.yaml allows? (3 minutes)
	@$(root) bash -c 'tools/build release && python3 bench/check.py $(BENCH)'

bench-build: #- what a clean build and a changed file take (BENCH=--up: and make up, from nothing)
	@bench/build $(BENCH)

bench-sweep: #- growth: products, orders, replicas, connections (hours; BENCH='--only products --small')
	@$(root) bash -c 'tools/build release && python3 bench/sweep.py $(BENCH)'

bench-publish: #- puts the last results into docs/performance.md, with their charts
	@$(root) bench/publish.py

counts: #- statements, allocations, system calls and bytes by request, and of what each is made
	@$(root) bash -c 'tools/build debug && python3 -m pytest -q tests/counts --list'

format: ## clang-format over the C++ sources
	@$(root) bash -c 'git ls-files "*.cpp" "*.hpp" | xargs clang-format-19 -i'

cluster: ## a real Kubernetes on this machine, as processes
	@deploy/cluster/cluster up

cluster-down: ## end it; nothing of it stays
	@deploy/cluster/cluster down

cluster-status: #- what of it runs, and how much it takes
	@deploy/cluster/cluster status

cluster-test: #- start one, prove what it must do, end it, look for leftovers
	@tests/cluster/run

stack: #- the platform as processes, until Ctrl-C (profile=test replicas=1)
	@$(root) tools/stack/stack up --foreground --profile $(or $(profile),test) --replicas $(or $(replicas),1) --preset $(preset)

order: #- a first paid order in the shop that `make up` started
	@bash -c 'bash <(tools/up order)'

engine-start: #- make a container engine answer
	@tools/engine start

engine-stop: #- stop it if we started it
	@tools/engine stop

engine-status: #- does one answer, and whose is it
	@tools/engine status
