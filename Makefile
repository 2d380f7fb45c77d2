# knockdaemon: build, try, test, install.

CARGO   ?= cargo
PREFIX  ?= /usr/local
SYSCONF ?= /etc/knockdaemon
UNITDIR ?= /etc/systemd/system
DESTDIR ?=

# For `make properties`: how often, with how many cases where a test does not name its own number,
# and which tests (a part of their name; all by default).
ROUNDS  ?= 10
CASES   ?= 4096
TESTS   ?=

# The end-to-end tests make network namespaces, which only root may let log.
ROOT := $(shell [ "$$(id -u)" -eq 0 ] && echo yes)

.PHONY: all build demo test torture properties bench install uninstall help

all: build

help:
	@echo 'make demo       a real knock opens a real port, between two network namespaces (root)'
	@echo 'make test       all checks and tests (end-to-end tests when root)'
	@echo 'make torture    kills the daemon 1,200 times while it opens and closes, and compares (root, KILLS=400, SEED=random)'
	@echo 'make properties property tests with other random cases (ROUNDS=10, CASES=4096, TESTS=part of a name)'
	@echo 'make bench      benchmarks'
	@echo 'make build      optimised programs in target/release'
	@echo 'make install    programs, manual pages, unit and example configs (PREFIX, DESTDIR)'
	@echo 'make uninstall  removes them again; keeps your configuration'

build:
	@.ci/install-tools build
	$(CARGO) build --release -p knockdaemon -p knockclient

demo:
	@.ci/install-tools demo
	@echo '== building'
	@$(CARGO) build --quiet -p knockdaemon -p knockclient -p knock-e2e
	@if [ "$$(id -u)" -eq 0 ]; then exec target/debug/demo; else exec sudo target/debug/demo; fi

test:
	@.ci/install-tools test
	@echo '== format';            $(CARGO) fmt --all --check
	@echo '== lints';             $(CARGO) clippy --quiet --workspace --all-targets -- -D warnings
	@echo '== documentation';     RUSTDOCFLAGS='-D warnings' $(CARGO) doc --quiet --workspace --no-deps
	@echo '== tests';             $(CARGO) test --workspace
ifeq ($(ROOT),yes)
	@echo '== tests that need root'; $(CARGO) test --workspace -- --ignored
else
	@echo '== tests that need root: LEFT OUT, you are not root; sudo env "PATH=$$PATH" make test runs them'
endif
	@echo '== examples';          $(CARGO) xtask examples
	@echo '== generated pages';   $(CARGO) xtask docs --check
	@echo '== tidiness';          $(CARGO) xtask tidy
	@echo '== all checks and tests passed'

# The seed of a round that failed is the last one printed: PROPTEST_RNG_SEED=… cargo test … repeats it.
properties:
	@.ci/install-tools test
	@crates=$$(grep -l '^proptest' crates/*/Cargo.toml | sed 's|crates/\(.*\)/Cargo.toml|-p \1|'); \
	for round in $$(seq $(ROUNDS)); do \
		seed=$$(od -An -N8 -tu8 /dev/urandom | tr -d ' '); \
		echo "== round $$round: PROPTEST_RNG_SEED=$$seed PROPTEST_CASES=$(CASES)"; \
		PROPTEST_RNG_SEED=$$seed PROPTEST_CASES=$(CASES) $(CARGO) test --quiet $$crates --lib --tests $(TESTS) || exit 1; \
	done

# So often with each of the two engines of iptables.
KILLS ?= 400
SEED  ?=
torture:
	@.ci/install-tools test
	$(CARGO) build --quiet -p knockdaemon -p knockclient -p knock-e2e
	target/debug/torture $(KILLS) $(SEED)

bench:
	@.ci/install-tools bench
	$(CARGO) bench -p knock-wire -p knock-formats -p knock-engine
	.ci/bench-replay
	.ci/bench-idle
ifeq ($(ROOT),yes)
	.ci/bench-latency
	.ci/bench-flood
else
	@echo '== latency and flood: LEFT OUT, they need network namespaces and you are not root'
endif

# Not `install: build`: under sudo cargo is another one, or none, and what is built already is enough.
install:
	@if [ ! -x target/release/knockdaemon ] || [ ! -x target/release/knockclient ]; then \
		command -v $(CARGO) >/dev/null || { echo 'run `make build` first, as yourself'; exit 1; }; \
		$(MAKE) build; fi
	install -d "$(DESTDIR)$(PREFIX)/sbin" "$(DESTDIR)$(PREFIX)/bin"
	install -m 755 target/release/knockdaemon "$(DESTDIR)$(PREFIX)/sbin/knockdaemon"
	install -m 755 target/release/knockclient "$(DESTDIR)$(PREFIX)/bin/knockclient"
	install -d "$(DESTDIR)$(PREFIX)/share/man/man1" "$(DESTDIR)$(PREFIX)/share/man/man5" "$(DESTDIR)$(PREFIX)/share/man/man8"
	install -m 644 docs/man/knockclient.1 "$(DESTDIR)$(PREFIX)/share/man/man1/knockclient.1"
	install -m 644 docs/man/knockdaemon.conf.5 "$(DESTDIR)$(PREFIX)/share/man/man5/knockdaemon.conf.5"
	install -m 644 docs/man/knockdaemon.8 "$(DESTDIR)$(PREFIX)/share/man/man8/knockdaemon.8"
	install -d "$(DESTDIR)$(PREFIX)/share/doc/knockdaemon/examples" "$(DESTDIR)$(PREFIX)/share/knockdaemon/logformats"
	install -m 644 examples/* "$(DESTDIR)$(PREFIX)/share/doc/knockdaemon/examples/"
	install -m 644 crates/knockdaemon/dist/knockdaemon-*.conf "$(DESTDIR)$(PREFIX)/share/doc/knockdaemon/"
	install -m 644 logformats/* "$(DESTDIR)$(PREFIX)/share/knockdaemon/logformats/"
	install -d "$(DESTDIR)$(UNITDIR)" "$(DESTDIR)/usr/lib/sysusers.d"
	sed 's|@SBIN@|$(PREFIX)/sbin|' crates/knockdaemon/dist/knockdaemon.service > "$(DESTDIR)$(UNITDIR)/knockdaemon.service"
	chmod 644 "$(DESTDIR)$(UNITDIR)/knockdaemon.service"
	install -m 644 crates/knockdaemon/dist/knockdaemon.sysusers "$(DESTDIR)/usr/lib/sysusers.d/knockdaemon.conf"
	install -d -m 700 "$(DESTDIR)$(SYSCONF)"
# A configuration to begin with, with a key of its own; never over one that is there.
	@if [ ! -e "$(DESTDIR)$(SYSCONF)/knockdaemon.yaml" ] && [ ! -e "$(DESTDIR)$(SYSCONF)/knockdaemon.conf" ]; then \
		key=$$(head -c 24 /dev/urandom | base64) && umask 077 && \
		sed "s|change-me|$$key|" examples/kmsg.yaml > "$(DESTDIR)$(SYSCONF)/knockdaemon.yaml" && \
		echo 'wrote $(SYSCONF)/knockdaemon.yaml with a fresh random key'; fi
# The unit's own user, where this is a live system with systemd and not a package being built.
	@if [ -z "$(DESTDIR)" ] && command -v systemd-sysusers >/dev/null && \
		[ ! -e /etc/systemd/system/knockdaemon.service.d/knockdaemon-root.conf ]; then \
		systemd-sysusers knockdaemon.conf && chown -R knockdaemon: $(SYSCONF); fi
	@echo 'Look at $(SYSCONF), give the key to your client, then: systemctl enable --now knockdaemon'

uninstall:
	@if [ -z "$(DESTDIR)" ] && command -v systemctl >/dev/null && [ -d /run/systemd/system ]; then \
		systemctl disable --now knockdaemon 2>/dev/null || true; fi
	rm -f "$(DESTDIR)$(PREFIX)/sbin/knockdaemon" "$(DESTDIR)$(PREFIX)/bin/knockclient"
	rm -f "$(DESTDIR)$(PREFIX)/share/man/man1/knockclient.1" "$(DESTDIR)$(PREFIX)/share/man/man5/knockdaemon.conf.5"
	rm -f "$(DESTDIR)$(PREFIX)/share/man/man8/knockdaemon.8"
	cd examples && for f in *; do rm -f "$(DESTDIR)$(PREFIX)/share/doc/knockdaemon/examples/$$f"; done
	cd logformats && for f in *; do rm -f "$(DESTDIR)$(PREFIX)/share/knockdaemon/logformats/$$f"; done
	rm -f "$(DESTDIR)$(PREFIX)/share/doc/knockdaemon/knockdaemon-root.conf" "$(DESTDIR)$(PREFIX)/share/doc/knockdaemon/knockdaemon-network.conf" "$(DESTDIR)$(PREFIX)/share/doc/knockdaemon/knockdaemon-users.conf" "$(DESTDIR)$(PREFIX)/share/doc/knockdaemon/knockdaemon-legacy.conf"
	rm -f "$(DESTDIR)$(UNITDIR)/knockdaemon.service" "$(DESTDIR)/usr/lib/sysusers.d/knockdaemon.conf"
	-rmdir -p --ignore-fail-on-non-empty "$(DESTDIR)$(PREFIX)/share/doc/knockdaemon/examples" "$(DESTDIR)$(PREFIX)/share/knockdaemon/logformats" 2>/dev/null
	@echo 'Kept: $(SYSCONF) and /var/lib/knockdaemon (your configuration and agenda)'
