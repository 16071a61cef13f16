#!/usr/bin/env bash
# `make install` into a prefix that is moved afterwards; the first example is built against it by pkg-config and by
# hand, shared and static, and logs in. Run beside a sandbox: install.sh TARGET_DIR
set -euo pipefail
cd "$(dirname "$0")/../.."
export CARGO_TARGET_DIR=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
unset MAKEFLAGS MFLAGS MAKELEVEL PKG_CONFIG_PATH

make --silent install DESTDIR="$work/stage" PREFIX=/somewhere/else
mv "$work/stage/somewhere/else" "$work/moved"
moved=$work/moved
version=$(sed -n 's/^version = "\(.*\)"$/\1/p' Cargo.toml | head -n 1)

listing=$(cd "$moved" && find . ! -type d | sort | xargs)
wanted="./include/gcauth.h ./lib/libgcauth.a ./lib/libgcauth.so ./lib/libgcauth.so.0 ./lib/libgcauth.so.$version"
wanted+=" ./lib/pkgconfig/gcauth.pc"
[ "$listing" = "$wanted" ] || { echo "installed: $listing, wanted: $wanted"; exit 1; }

# The words of the examples' README.
cp examples/c/first_login.c "$work"
cd "$work"
config() {
    PKG_CONFIG_PATH=$moved/lib/pkgconfig pkg-config "$@" gcauth
}
[ "$(config --modversion)" = "$version" ] || { echo "gcauth.pc is of version $(config --modversion)"; exit 1; }

logs_in() { # logs_in HOW PROGRAM
    output=$(GCAUTH_PASSWORD=lovelace "$2" ada analytical-engines) || { echo "$1: does not run"; exit 1; }
    [[ $output == 'Authorization: Bearer eyJ'*... ]] || { echo "$1: it printed $output"; exit 1; }
    echo "$1: $output"
}

C_INCLUDE_PATH=$moved/include LIBRARY_PATH=$moved/lib cc first_login.c -lgcauth -o by_hand
LD_LIBRARY_PATH=$moved/lib logs_in 'by hand, shared' ./by_hand

# shellcheck disable=SC2046
cc first_login.c $(config --cflags --libs) -o by_pkg_config
LD_LIBRARY_PATH=$moved/lib logs_in 'by pkg-config, shared' ./by_pkg_config

rm "$moved"/lib/libgcauth.so*
# shellcheck disable=SC2046
cc first_login.c $(config --cflags --libs --static) -o static_by_pkg_config
logs_in 'by pkg-config, static' ./static_by_pkg_config
