# Builds, tests and installs libgcauth. `make help` lists the targets.

PREFIX ?= /usr/local
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
PACKAGE_FILES := build/make/package
PKGCONFIGDIR := $(LIBDIR)/pkgconfig
CMAKEDIR := $(LIBDIR)/cmake/gcauth
INSTALLED := $(addprefix $(DESTDIR), $(LIBDIR)/libgcauth.so.$(VERSION) $(LIBDIR)/libgcauth.so.$(SOVERSION) \
    $(LIBDIR)/libgcauth.so $(LIBDIR)/libgcauth.a $(INCLUDEDIR)/gcauth.h $(INCLUDEDIR)/gcauth.hpp \
    $(PKGCONFIGDIR)/gcauth.pc $(CMAKEDIR)/gcauthConfig.cmake $(CMAKEDIR)/gcauthConfigVersion.cmake)

.PHONY: all help library check-header header demo test sanitize soak bench fuzz install uninstall package clean

all: library check-header ## build the library and check the header (what `make` does)
	@echo "$(RELEASE)/libgcauth.so and $(ARCHIVE) are ready, the header is include/gcauth.h"

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1 @\2/p' $(firstword $(MAKEFILE_LIST)) | column -t -s @

library: ## build libgcauth.so and libgcauth.a
	@scripts/setup build
	$(BUILD_LIBRARY)
	scripts/static-archive $(RELEASE)/libgcauth.a $(ARCHIVE)

check-header: ## compile the header by itself, in each standard of C and C++ that it is for
	@tests/artefacts/header.sh

header: ## write include/gcauth.h anew from the Rust sources
	@scripts/setup build
	GCAUTH_RENEW_HEADER=1 $(CARGO) test --locked -p gcauth --test header

demo: ## log in, renew, switch project and send a request, in C, at a local HTTPS server
	@scripts/setup demo
	$(BUILD_LIBRARY)
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

$(RELEASE)/libgcauth.so $(ARCHIVE):
	$(MAKE) library

# What is built is installed as it is, so that `sudo make install` needs no Rust.
install: $(RELEASE)/libgcauth.so $(ARCHIVE) ## install below PREFIX (/usr/local), staged in DESTDIR
	$(INSTALL) -d $(DESTDIR)$(LIBDIR) $(DESTDIR)$(INCLUDEDIR) $(DESTDIR)$(PKGCONFIGDIR) $(DESTDIR)$(CMAKEDIR)
	$(INSTALL) -m 644 $(RELEASE)/libgcauth.so $(DESTDIR)$(LIBDIR)/libgcauth.so.$(VERSION)
	ln -sf libgcauth.so.$(VERSION) $(DESTDIR)$(LIBDIR)/libgcauth.so.$(SOVERSION)
	ln -sf libgcauth.so.$(SOVERSION) $(DESTDIR)$(LIBDIR)/libgcauth.so
	$(INSTALL) -m 644 $(ARCHIVE) $(DESTDIR)$(LIBDIR)/libgcauth.a
	$(INSTALL) -m 644 include/gcauth.h bindings/cpp/gcauth.hpp $(DESTDIR)$(INCLUDEDIR)
	scripts/package-files $(VERSION) $(SOVERSION) $(LIBDIR) $(INCLUDEDIR) $(PACKAGE_FILES)
	$(INSTALL) -m 644 $(PACKAGE_FILES)/gcauth.pc $(DESTDIR)$(PKGCONFIGDIR)
	$(INSTALL) -m 644 $(PACKAGE_FILES)/*.cmake $(DESTDIR)$(CMAKEDIR)
	if [ -z "$(DESTDIR)" ] && [ "$$(id -u)" = 0 ]; then ldconfig; fi

uninstall: ## remove what `make install` with the same variables installed
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
