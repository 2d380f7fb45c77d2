# knockdaemon: build, try, test, install.

CARGO   ?= cargo
PREFIX  ?= /usr/local
SYSCONF ?= /etc/knockdaemon
UNITDIR ?= /etc/systemd/system
DESTDIR ?=

# The end-to-end tests make network namespaces, which only root may let log.
ROOT := $(shell [ "$$(id -u)" -eq 0 ] && echo yes)

.PHONY: all build demo test bench install uninstall help

all: build

help:
	@echo 'make demo       a real knock opens a real port, between two network namespaces (root)'
	@echo 'make test       all checks and tests (end-to-end tests when root)'
	@echo 'make bench      benchmarks'
	@echo 'make build      optimised programs in target/release'
	@echo 'make install    programs, manual pages, unit and example configs (PREFIX, DESTDIR)'
	@echo 'make uninstall  removes them again; keeps your configuration'

build:
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
	@echo '== tests that need root: LEFT OUT, you are not root; `sudo make test` runs them'
endif
	@echo '== examples';          $(CARGO) xtask examples
	@echo '== generated pages';   $(CARGO) xtask docs --check
	@echo '== tidiness';          $(CARGO) xtask tidy
	@echo '== all checks and tests passed'

bench:
	$(CARGO) bench --workspace

install: build
	install -d $(DESTDIR)$(PREFIX)/sbin $(DESTDIR)$(PREFIX)/bin
	install -m 755 target/release/knockdaemon $(DESTDIR)$(PREFIX)/sbin/knockdaemon
	install -m 755 target/release/knockclient $(DESTDIR)$(PREFIX)/bin/knockclient
	install -d $(DESTDIR)$(PREFIX)/share/man/man8 $(DESTDIR)$(PREFIX)/share/man/man1 $(DESTDIR)$(PREFIX)/share/man/man5
	install -m 644 docs/man/knockdaemon.8 $(DESTDIR)$(PREFIX)/share/man/man8/knockdaemon.8
	install -m 644 docs/man/knockclient.1 $(DESTDIR)$(PREFIX)/share/man/man1/knockclient.1
	install -m 644 docs/man/knockdaemon.conf.5 $(DESTDIR)$(PREFIX)/share/man/man5/knockdaemon.conf.5
	install -d $(DESTDIR)$(PREFIX)/share/doc/knockdaemon/examples $(DESTDIR)$(PREFIX)/share/knockdaemon/logformats
	install -m 644 examples/* $(DESTDIR)$(PREFIX)/share/doc/knockdaemon/examples/
	install -m 644 logformats/* $(DESTDIR)$(PREFIX)/share/knockdaemon/logformats/
	install -d -m 755 $(DESTDIR)$(UNITDIR) $(DESTDIR)/usr/lib/sysusers.d
	sed 's|@SBIN@|$(PREFIX)/sbin|' crates/knockdaemon/dist/knockdaemon.service > $(DESTDIR)$(UNITDIR)/knockdaemon.service
	chmod 644 $(DESTDIR)$(UNITDIR)/knockdaemon.service
	install -m 644 crates/knockdaemon/dist/knockdaemon-root.conf $(DESTDIR)$(PREFIX)/share/doc/knockdaemon/
	install -m 644 crates/knockdaemon/dist/knockdaemon.sysusers $(DESTDIR)/usr/lib/sysusers.d/knockdaemon.conf
	install -d -m 700 $(DESTDIR)$(SYSCONF)
	[ -e $(DESTDIR)$(SYSCONF)/knockdaemon.yaml ] || [ -e $(DESTDIR)$(SYSCONF)/knockdaemon.conf ] || \
		install -m 600 examples/kmsg.yaml $(DESTDIR)$(SYSCONF)/knockdaemon.yaml
# The unit's own user, where this is a live system with systemd and not a package being built.
	if [ -z "$(DESTDIR)" ] && command -v systemd-sysusers >/dev/null; then \
		systemd-sysusers knockdaemon.conf && chown -R knockdaemon: $(SYSCONF); fi
	@echo 'Now put your own key and actions into $(SYSCONF), then: systemctl enable --now knockdaemon'

uninstall:
	rm -f $(DESTDIR)$(PREFIX)/sbin/knockdaemon $(DESTDIR)$(PREFIX)/bin/knockclient
	rm -f $(DESTDIR)$(PREFIX)/share/man/man8/knockdaemon.8 $(DESTDIR)$(PREFIX)/share/man/man1/knockclient.1
	rm -f $(DESTDIR)$(PREFIX)/share/man/man5/knockdaemon.conf.5
	rm -rf $(DESTDIR)$(PREFIX)/share/doc/knockdaemon $(DESTDIR)$(PREFIX)/share/knockdaemon
	rm -f $(DESTDIR)$(UNITDIR)/knockdaemon.service $(DESTDIR)/usr/lib/sysusers.d/knockdaemon.conf
	@echo 'Kept: $(SYSCONF) and /var/lib/knockdaemon (your configuration and agenda)'
