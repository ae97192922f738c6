# The commands of this repository. `make demo` and `make test` need nothing
# prepared: each installs what is missing first (scripts/install.sh says what).

.PHONY: help demo test check release bench alerts-bench fleet crash cgroup2 build web openapi clean-demo oracle fuzz alertmanager

TENFOLD := target/debug/tenfold
WEB_SOURCES := $(shell find web -type f -not -path 'web/node_modules/*' -not -path 'web/dist/*' 2>/dev/null)

help:
	@echo "make demo    the whole loop on this machine, one URL; Ctrl-C ends it and leaves nothing running"
	@echo "make test    every test, on real servers"
	@echo "make check   formatting, lints, licences"
	@echo "make build   the server with its pages"
	@echo "make release the fast one, target/release/tenfold: what runs lies together in it"
	@echo "make web     the pages alone"
	@echo "make bench   the measured seconds of the story, and the store and StatsD beside their peers, on this machine"
	@echo "make alerts-bench  storms, receivers in trouble, checks, breaches and rules beside Alertmanager, Prometheus, Nagios and Icinga"
	@echo "make fleet   deploys beside Debian's capistrano and ansible on 20 and 50 hosts in namespaces; needs root"
	@echo "make crash   the store of samples: 1,000 kills, 1,000 power cuts, damage at every 4 kB, a bomb of labels in 512 MB; deploys killed everywhere; paging: 1,000 kills"
	@echo "make cgroup2  limits of builds and services on a machine with control groups of version 2, in a virtual one"
	@echo "make oracle  a million flags and contexts, ours beside the engine of Unleash's SDKs"
	@echo "make alertmanager  Alertmanager's own acceptance suite on this server, case by case"
	@echo "make fuzz    every fuzz target for a minute"

demo:
	scripts/install.sh demo
	$(MAKE) --no-print-directory build
	$(TENFOLD) demo

test:
	scripts/install.sh test
	$(MAKE) --no-print-directory web
	npm --prefix web test
	npm --prefix e2e/clients ci
	node e2e/clients/install-python.mjs
	cargo test --workspace
	npm --prefix e2e ci
	@# Both wait more than they work, on ports of their own: one after the other they take three minutes longer.
	@log=$$(mktemp); npm --prefix e2e/clients test > $$log 2>&1 & clients=$$!; \
	npm --prefix e2e test; story=$$?; wait $$clients; sdks=$$?; cat $$log; rm -f $$log; exit $$((story || sdks))

check:
	scripts/install.sh check
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings
	scripts/deny.sh
	npm --prefix web run check

bench:
	scripts/install.sh bench
	$(MAKE) --no-print-directory build
	npm --prefix e2e ci
	npm --prefix e2e run bench
	$(MAKE) --no-print-directory release RELEASED="--bin tenfold --example store_bench"
	target/release/examples/store_bench
	target/release/examples/store_bench statsd

# Apart from `make bench`: half an hour. One after the other, for each wants the machine for itself.
alerts-bench: export TENFOLD_BIN = $(CURDIR)/target/release/tenfold
alerts-bench:
	scripts/install.sh bench
	$(MAKE) --no-print-directory release
	node e2e/alertmanager/storm.bench.mjs 10000 100 10000
	GROUP_WAIT=0s node e2e/alertmanager/storm.bench.mjs 10000 10000
	node e2e/alertmanager/outage.bench.mjs
	node e2e/alertmanager/checks.bench.mjs
	node e2e/alertmanager/breach.bench.mjs 15
	node e2e/alertmanager/rules.bench.mjs

# Apart from `make bench`: a quarter of an hour, and it needs root, for the hosts are namespaces.
fleet:
	scripts/install.sh fleet
	$(MAKE) --no-print-directory release
	TENFOLD_BIN=$(CURDIR)/target/release/tenfold npm --prefix e2e run fleet

# Some minutes. Each prints what it did.
crash:
	KILL_ROUNDS=1000 cargo test -p tenfold-tsdb --test kill -- --nocapture
	POWER_CASES=1000 cargo test -p tenfold-tsdb --test power
	cargo test -p tenfold-tsdb --test damage
	cargo test -p tenfold --test bomb -- --nocapture
	cargo test -p tenfold --test handed_over
	DEPLOY_KILL=all cargo test -p tenfold --test deploy_kill -- --nocapture
	KILL_ROUNDS=1000 cargo test -p tenfold-app --test paging killed:: -- --nocapture
	KILL_ROUNDS=200 cargo test -p tenfold-app --test paging handed:: -- --nocapture

# Every test is built here and run in there (docs/adr/0050-version-2-in-a-machine-of-its-own.md).
cgroup2: export TENFOLD_REQUIRE_CGROUP2 = 1
cgroup2:
	scripts/install.sh cgroup2
	cargo test -p tenfold-runner --lib --test builds --test deploys \
		--config 'target."cfg(unix)".runner = ["$(CURDIR)/scripts/in-cgroup2.sh"]' \
		-- --nocapture cgroup limits version_2

# The pages first: the server carries them inside.
build: web
	cargo build

web: web/dist/index.html

web/dist/index.html: $(WEB_SOURCES)
	npm --prefix web ci
	npm --prefix web run build

# Linked twice: the second time what the first one calls at work lies side by side (docs/adr/0057-what-runs-lies-together.md).
# Looking takes seven minutes, and is left out while the functions are the same.
release: RELEASED = --bin tenfold
release: web
	scripts/install.sh release
	npm --prefix e2e ci
	npm --prefix e2e/clients ci
	node e2e/clients/install-python.mjs
	cargo build --release -p tenfold $(RELEASED)
	node e2e/order.mjs target/release/tenfold target/release/order.txt
	cargo build --release -p tenfold $(RELEASED)

# The description of the API from which the pages' client is typed.
openapi:
	cargo build
	$(TENFOLD) openapi > web/openapi.json
	npm --prefix web run generate:api

# Apart from `make test`: its dependencies are nobody's but its own (docs/adr/0015-oracle-outside.md).
oracle:
	cargo test --release --manifest-path oracle/Cargo.toml -- --nocapture

# Some two minutes, most of them waiting: its cases run in real time.
alertmanager:
	scripts/install.sh alertmanager
	$(MAKE) --no-print-directory build
	node e2e/alertmanager/run.mjs --require

fuzz:
	scripts/fuzz.sh 60

clean-demo:
	rm -rf .demo
