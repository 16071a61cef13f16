# Builds, tests and installs libgcauth. `make help` lists the targets.

PREFIX ?= /usr/local
LIBDIR ?= $(PREFIX)/lib
INCLUDEDIR ?= $(PREFIX)/include
DESTDIR ?=
CARGO ?= cargo
CC ?= cc
INSTALL ?= install
FUZZ_SECONDS ?= 60

VERSION := $(shell sed -n 's/^version = "\(.*\)"$$/\1/p' Cargo.toml | head -n 1)
# As in build.rs: the ABI's number, not the version's.
SOVERSION := 0
TARGET := $(or $(CARGO_TARGET_DIR),target)
RELEASE := $(TARGET)/release
DEMO := build/demo
ARCHIVE := build/make/libgcauth.a
PKGCONFIGDIR := $(LIBDIR)/pkgconfig
INSTALLED := $(addprefix $(DESTDIR), $(LIBDIR)/libgcauth.so.$(VERSION) $(LIBDIR)/libgcauth.so.$(SOVERSION) \
    $(LIBDIR)/libgcauth.so $(LIBDIR)/libgcauth.a $(INCLUDEDIR)/gcauth.h $(PKGCONFIGDIR)/gcauth.pc)

.PHONY: all help library check-header header demo test soak bench fuzz install uninstall clean

all: library check-header ## build the library and check the header (what `make` does)
	@echo "$(RELEASE)/libgcauth.so and $(ARCHIVE) are ready, the header is include/gcauth.h"

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1 @\2/p' $(firstword $(MAKEFILE_LIST)) | column -t -s @

library: ## build libgcauth.so and libgcauth.a
	@scripts/setup build
	$(CARGO) build --locked --release -p gcauth
	scripts/static-archive $(RELEASE)/libgcauth.a $(ARCHIVE)

check-header: ## compile the header by itself, in each standard of C and C++ that it is for
	@tests/artefacts/header.sh

header: ## write include/gcauth.h anew from the Rust sources
	@scripts/setup build
	GCAUTH_RENEW_HEADER=1 $(CARGO) test --locked -p gcauth --test header

demo: ## log in, renew, switch project and send a request, in C, at a local HTTPS server
	@scripts/setup demo
	$(CARGO) build --locked --release -p gcauth
	$(CARGO) build --locked --release -p gcauth-sandbox
	@mkdir -p $(DEMO)
	@ln -sf $(abspath $(RELEASE))/libgcauth.so $(DEMO)/libgcauth.so
	@ln -sf libgcauth.so $(DEMO)/libgcauth.so.$(SOVERSION)
	$(CC) -std=c99 -Wall -Wextra -Wpedantic -O2 -Iinclude examples/c/demo.c -o $(DEMO)/demo \
	    -L$(DEMO) -Wl,-rpath,'$$ORIGIN' -lgcauth -lcurl
	@echo; echo "A sandbox on this machine stands in for the platform; a C program logs in there over HTTPS."
	@GCAUTH_PASSWORD=lovelace scripts/sandbox with -- \
	    sh -c '$(DEMO)/demo ada analytical-engines exomes genomes $$GCAUTH_SANDBOX_HTTPS/me'

test: ## run all tests
	@scripts/setup test
	@scripts/test

bench: ## measure
	@scripts/setup bench
	@bench/run

soak: ## run the tests of shared sessions at full size, and draw what happened (half an hour or more)
	@scripts/setup test
	@scripts/soak

fuzz: ## run each fuzz target for a minute (FUZZ_SECONDS)
	@scripts/setup fuzz
	@scripts/fuzz $(FUZZ_SECONDS)

$(RELEASE)/libgcauth.so $(ARCHIVE):
	$(MAKE) library

# What is built is installed as it is, so that `sudo make install` needs no Rust.
install: $(RELEASE)/libgcauth.so $(ARCHIVE) ## install below PREFIX (/usr/local), staged in DESTDIR
	$(INSTALL) -d $(DESTDIR)$(LIBDIR) $(DESTDIR)$(INCLUDEDIR) $(DESTDIR)$(PKGCONFIGDIR)
	$(INSTALL) -m 755 $(RELEASE)/libgcauth.so $(DESTDIR)$(LIBDIR)/libgcauth.so.$(VERSION)
	ln -sf libgcauth.so.$(VERSION) $(DESTDIR)$(LIBDIR)/libgcauth.so.$(SOVERSION)
	ln -sf libgcauth.so.$(SOVERSION) $(DESTDIR)$(LIBDIR)/libgcauth.so
	$(INSTALL) -m 644 $(ARCHIVE) $(DESTDIR)$(LIBDIR)/libgcauth.a
	$(INSTALL) -m 644 include/gcauth.h $(DESTDIR)$(INCLUDEDIR)/gcauth.h
	scripts/pkg-config-file $(VERSION) $(PKGCONFIGDIR) $(INCLUDEDIR) >$(DESTDIR)$(PKGCONFIGDIR)/gcauth.pc
	chmod 644 $(DESTDIR)$(PKGCONFIGDIR)/gcauth.pc
	if [ -z "$(DESTDIR)" ] && [ "$$(id -u)" = 0 ]; then ldconfig; fi

uninstall: ## remove what `make install` with the same variables installed
	rm -f $(INSTALLED)
	if [ -z "$(DESTDIR)" ] && [ "$$(id -u)" = 0 ]; then ldconfig; fi

clean: ## remove all that was built
	$(CARGO) clean
	rm -rf build
