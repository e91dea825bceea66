# Everything a person or CI runs; each target is a few visible commands.

TARGET  := $(shell uname -m)-unknown-linux-musl
PLUGINS := none host loopback bridge macvlan portmap firewall host-local static flannel overlay

# The crates that read what others wrote.
PARSERS := attach cni drivers ipam kernel netstate plugins

DESTDIR ?=
PREFIX  ?= /usr
BINDIR  ?= $(PREFIX)/bin
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

.PHONY: setup build demo test parsers bench hot lint install install-plugins

build:
	e2e/setup
	$(CARGO) build --release --target $(TARGET) -p plugins
	$(CARGO) build --release --target $(TARGET) -p netd -p e2e --bins
	$(CARGO) build --profile inject --target $(TARGET) -p plugins --features inject

demo: build
	$(SUDO) $(BUILD)/demo

test: build parsers
	$(CARGO) test --workspace --no-fail-fast

# Every parser, with a million inputs that were tampered with.
parsers:
	PARSER_CASES=1000000 $(CARGO) test --profile parsers --no-fail-fast --lib \
	    $(addprefix -p ,$(PARSERS)) any_input

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

install-plugins:
	@test -x $(BUILD)/plugins || { echo "make install: run 'make build' first" >&2; exit 1; }
	mkdir -p $(DESTDIR)$(CNIDIR)
	set -e; for name in $(PLUGINS); do \
	    cp --reflink=auto $(BUILD)/plugins $(DESTDIR)$(CNIDIR)/.$$name.new; \
	    mv -f $(DESTDIR)$(CNIDIR)/.$$name.new $(DESTDIR)$(CNIDIR)/$$name; \
	done

setup:
	e2e/setup --lint
