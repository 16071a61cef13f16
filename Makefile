# Builds, tests and installs libgcauth. `make help` lists the targets.

PREFIX ?= /usr/local
BINDIR ?= $(PREFIX)/bin
LIBDIR ?= $(PREFIX)/lib
INCLUDEDIR ?= $(PREFIX)/include
DESTDIR ?=
CARGO ?= cargo
CC ?= cc
INSTALL ?= install
FUZZ_SECONDS ?= 60
# Anything but yes builds the library without the stores redis:// and rediss://.
REDIS ?= yes

VERSION := $(shell scripts/about version)
SOVERSION := $(shell scripts/about soversion)
TARGET := $(or $(CARGO_TARGET_DIR),target)
RELEASE := $(TARGET)/release
DEMO := build/demo
BUILD_LIBRARY := CARGO='$(CARGO)' scripts/build-library $(if $(filter-out yes,$(REDIS)),--no-default-features)
ARCHIVE := build/make/libgcauth.a
SANDBOX_DIR ?= build/sandbox
PKGCONFIGDIR := $(LIBDIR)/pkgconfig
CMAKEDIR := $(LIBDIR)/cmake/gcauth
INSTALLED := $(addprefix $(DESTDIR), $(LIBDIR)/libgcauth.so.$(VERSION) $(LIBDIR)/libgcauth.so.$(SOVERSION) \
    $(LIBDIR)/libgcauth.so $(LIBDIR)/libgcauth.a $(INCLUDEDIR)/gcauth.h $(INCLUDEDIR)/gcauth.hpp \
    $(PKGCONFIGDIR)/gcauth.pc $(CMAKEDIR)/gcauthConfig.cmake $(CMAKEDIR)/gcauthConfigVersion.cmake \
    $(BINDIR)/gcauth-sandbox)

.PHONY: all help library sandbox-program check-header header demo sandbox test sanitize soak bench fuzz install \
    install-sandbox uninstall package clean

all: library check-header ## build the library and check the header (what `make` does)
	@echo "$(RELEASE)/libgcauth.so and $(ARCHIVE) are ready, the header is include/gcauth.h"

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1 @\2/p' $(firstword $(MAKEFILE_LIST)) | column -t -s @

library: ## build libgcauth.so and libgcauth.a
	@scripts/setup build
	$(BUILD_LIBRARY)
	scripts/static-archive $(RELEASE)/libgcauth.a $(ARCHIVE)

sandbox-program:
	@scripts/setup build
	$(CARGO) build --locked --release -p gcauth-sandbox

check-header: ## compile the header by itself, in each standard of C and C++ that it is for
	@tests/artefacts/header.sh

header: ## write include/gcauth.h anew from the Rust sources
	@scripts/setup build
	GCAUTH_RENEW_HEADER=1 $(CARGO) test --locked -p gcauth --test header

demo: ## log in, renew, switch project and send a request, in C, at a local HTTPS server
	@scripts/setup demo
	$(BUILD_LIBRARY)
	@$(MAKE) --no-print-directory sandbox-program
	@mkdir -p $(DEMO)
	@ln -sf $(abspath $(RELEASE))/libgcauth.so $(DEMO)/libgcauth.so
	@ln -sf libgcauth.so $(DEMO)/libgcauth.so.$(SOVERSION)
	$(CC) -std=c99 -Wall -Wextra -Wpedantic -O2 -Iinclude examples/c/demo.c -o $(DEMO)/demo \
	    -L$(DEMO) -Wl,-rpath,'$$ORIGIN' -lgcauth -lcurl
	@echo; echo "A sandbox on this machine stands in for the platform; a C program logs in there over HTTPS."
	@GCAUTH_PASSWORD=lovelace scripts/sandbox with -- \
	    sh -c '$(DEMO)/demo ada analytical-engines exomes genomes $$GCAUTH_SANDBOX_HTTPS/me'

sandbox: sandbox-program ## start a server that stands in for the platform, and say how to use it; Ctrl-C ends it
	@exec $(RELEASE)/gcauth-sandbox --guide --dir '$(SANDBOX_DIR)'

test: ## run all tests
	@scripts/setup test
	@scripts/test

sanitize: ## run C tests under the address and the thread sanitizer
	@scripts/setup sanitize
	@scripts/sanitize

bench: ## measure
	@scripts/setup bench
	@bench/run

soak: ## run the tests of shared sessions at full size, and draw what happened (half an hour or more)
	@scripts/setup soak
	@scripts/soak

fuzz: ## run each fuzz target for a minute (FUZZ_SECONDS)
	@scripts/setup fuzz
	@scripts/fuzz $(FUZZ_SECONDS)

# What is not built yet is built, but not by sudo, which would leave files of root in the checkout.
define build_what_is_missing
@if [ "$${SUDO_UID:-0}" != 0 ]; then echo '$@ is not built yet: run `make $(1)` first, without sudo' >&2; exit 1; fi
@$(MAKE) --no-print-directory $(1)
endef

$(RELEASE)/libgcauth.so $(ARCHIVE):
	$(call build_what_is_missing,library)

$(RELEASE)/gcauth-sandbox:
	$(call build_what_is_missing,sandbox-program)

# What is built is installed as it is, so that `sudo make install` needs no Rust, and writes nothing here.
install: $(RELEASE)/libgcauth.so $(ARCHIVE) ## install below PREFIX (/usr/local), staged in DESTDIR
	$(INSTALL) -d $(DESTDIR)$(LIBDIR) $(DESTDIR)$(INCLUDEDIR) $(DESTDIR)$(PKGCONFIGDIR) $(DESTDIR)$(CMAKEDIR)
	$(INSTALL) -m 644 $(RELEASE)/libgcauth.so $(DESTDIR)$(LIBDIR)/libgcauth.so.$(VERSION)
	ln -sf libgcauth.so.$(VERSION) $(DESTDIR)$(LIBDIR)/libgcauth.so.$(SOVERSION)
	ln -sf libgcauth.so.$(SOVERSION) $(DESTDIR)$(LIBDIR)/libgcauth.so
	$(INSTALL) -m 644 $(ARCHIVE) $(DESTDIR)$(LIBDIR)/libgcauth.a
	$(INSTALL) -m 644 include/gcauth.h bindings/cpp/gcauth.hpp $(DESTDIR)$(INCLUDEDIR)
	files=$$(mktemp -d) && trap 'rm -rf "$$files"' EXIT && \
	    scripts/package-files $(VERSION) $(SOVERSION) $(LIBDIR) $(INCLUDEDIR) "$$files" && \
	    $(INSTALL) -m 644 "$$files"/gcauth.pc $(DESTDIR)$(PKGCONFIGDIR) && \
	    $(INSTALL) -m 644 "$$files"/*.cmake $(DESTDIR)$(CMAKEDIR)
	if [ -z "$(DESTDIR)" ] && [ "$$(id -u)" = 0 ]; then ldconfig; fi

install-sandbox: $(RELEASE)/gcauth-sandbox ## install gcauth-sandbox, the server that `make sandbox` starts
	$(INSTALL) -d $(DESTDIR)$(BINDIR)
	$(INSTALL) -m 755 $(RELEASE)/gcauth-sandbox $(DESTDIR)$(BINDIR)

uninstall: ## remove what `make install` with the same variables installed, and gcauth-sandbox
	rm -f $(INSTALLED)
	[ ! -d $(DESTDIR)$(CMAKEDIR) ] || rmdir --ignore-fail-on-non-empty $(DESTDIR)$(CMAKEDIR)
	if [ -z "$(DESTDIR)" ] && [ "$$(id -u)" = 0 ]; then ldconfig; fi

package: ## make Debian packages and a .tar.gz in build/package (prefix /usr)
	@scripts/setup package
	cmake -S . -B build/package -DCMAKE_INSTALL_PREFIX=/usr -DGCAUTH_BUILD_EXAMPLES=OFF -DGCAUTH_BUILD_TESTS=OFF
	cmake --build build/package
	cd build/package && cpack

clean: ## remove all that was built
	$(CARGO) clean
	rm -rf build
