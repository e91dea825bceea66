# Everything a person or CI runs; each target is a few visible commands.

TARGET  := $(shell uname -m)-unknown-linux-musl
PLUGINS := none host loopback bridge macvlan portmap firewall host-local static flannel overlay netd

# Where shells look for completions, below share.
COMPLETIONS := bash:bash-completion/completions/netd zsh:zsh/site-functions/_netd \
    fish:fish/vendor_completions.d/netd.fish

# The crates that read what others wrote.
PARSERS := attach cni drivers ipam kernel netd netstate plugins

DESTDIR ?=
PREFIX  ?= /usr
BINDIR  ?= $(PREFIX)/bin
MANDIR  ?= $(PREFIX)/share/man
CNIDIR  ?= /opt/cni/bin

CARGO ?= cargo
BUILD := $(or $(CARGO_TARGET_DIR),target)/$(TARGET)/release

# Tests make namespaces: the test programs run as root, never cargo.
ifneq ($(shell id -u),0)
HOST := $(shell rustc -vV | sed -n 's/^host: //p' | tr a-z- A-Z_)
export CARGO_TARGET_$(HOST)_RUNNER ?= sudo --preserve-env
SUDO := sudo --preserve-env
endif
export RUST_LIB_BACKTRACE ?= 0

# A million inputs or changes: optimised, with the checks of a debug build, beside its dependencies.
OPTIMISED := CARGO_PROFILE_DEV_OPT_LEVEL=1 CARGO_PROFILE_DEV_DEBUG=false CARGO_INCREMENTAL=0

.PHONY: setup build released injected demo test parsers fleet bench hot lint install install-plugins

# Each profile has a directory and a lock of its own, and a program is linked by one processor.
build:
	e2e/setup
	$(MAKE) --no-print-directory -j2 released injected

# The plugins first, by themselves: what netd wants of a crate that both have is not to be in them.
released:
	$(CARGO) build --release --target $(TARGET) -p plugins
	$(CARGO) build --release --target $(TARGET) -p netd -p e2e --bins

injected:
	$(CARGO) build --profile inject --target $(TARGET) -p plugins --features inject
	$(CARGO) build --profile inject --target $(TARGET) -p netd --features inject

demo: build
	$(SUDO) $(BUILD)/demo

test: build parsers fleet
	CARGO=$(CARGO) e2e/run-tests --workspace

# Every parser, with a million inputs that were tampered with.
parsers:
	PARSER_CASES=1000000 $(OPTIMISED) $(CARGO) test --no-fail-fast --lib \
	    $(addprefix -p ,$(PARSERS)) any_input

# A thousand hosts of one cluster, with one etcd and simulated kernels but for one.
fleet:
	FLEET_HOSTS=1000 $(OPTIMISED) CARGO=$(CARGO) e2e/run-tests -p netd --test cluster \
	    hosts_that_start_at_once -- --nocapture

# Figures of one run compare with each other; --full attaches 1,000 containers with the peers too.
bench: build
	$(if $(filter-out 0,$(shell id -u)),sudo )$(BUILD)/bench $(BENCH)

# The order of the plugins' functions in memory, from what a run of them uses. Needs valgrind.
hot:
	CARGO_PROFILE_RELEASE_STRIP=none $(CARGO) build --release --target $(TARGET) -p plugins
	$(SUDO) e2e/hot $(BUILD)/plugins

lint: setup
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --workspace --no-deps --document-private-items
	$(CARGO) deny check --hide-inclusion-graph bans licenses sources

# The plugins go in as separate files, copied beside and renamed: what runs keeps its old program,
# and an installer that copies over one of them leaves the others alone.
install: install-plugins
	@test -x $(BUILD)/netd || { echo "make install: run 'make build' first" >&2; exit 1; }
	install -D -m 755 $(BUILD)/netd $(DESTDIR)$(BINDIR)/.netd.new
	mv -f $(DESTDIR)$(BINDIR)/.netd.new $(DESTDIR)$(BINDIR)/netd
	$(BUILD)/netd man $(DESTDIR)$(MANDIR)/man1
	set -e; for of in $(COMPLETIONS); do \
	    file=$(DESTDIR)$(PREFIX)/share/$${of#*:}; mkdir -p $${file%/*}; \
	    $(BUILD)/netd completion $${of%%:*} > $$file; \
	done

install-plugins:
	@test -x $(BUILD)/plugins || { echo "make install: run 'make build' first" >&2; exit 1; }
	mkdir -p $(DESTDIR)$(CNIDIR)
	set -e; for name in $(PLUGINS); do \
	    cp --reflink=auto $(BUILD)/plugins $(DESTDIR)$(CNIDIR)/.$$name.new; \
	    mv -f $(DESTDIR)$(CNIDIR)/.$$name.new $(DESTDIR)$(CNIDIR)/$$name; \
	done

setup:
	e2e/setup --lint
