#!/usr/bin/env bash
# The ABI is the one that docs/ABI.md promises: abi.sh WHAT LIBGCAUTH.SO CARGO_TARGET_DIR. WHAT is one of
#
#   exports   the library exports what tests/abi/exports lists, and the header names the same version for each
#   glibc     how old a glibc the library runs with
#   diff      functions and types are those of tests/abi/baseline.abi; a change that is planted is found
#
# GCAUTH_RENEW_ABI=1 writes baseline.abi anew: after an addition, or for a new SONAME.
set -euo pipefail
cd "$(dirname "$0")/../.."
what=$1
library=$2
target=$3
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
unset MAKEFLAGS MFLAGS MAKELEVEL

exports() {
    grep -v '^#' tests/abi/exports | LC_ALL=C sort >"$work/listed"
    nm -D --defined-only "$library" | awk '{ print $NF }' | LC_ALL=C sort >"$work/exported"
    diff -u --label 'listed in tests/abi/exports' --label "exported by $library" <(cut -d' ' -f1 "$work/listed") \
        "$work/exported"
    # The documentation of a function ends in its version.
    awk '/Since [0-9.]+\.$/ { sub(/.*Since /, ""); sub(/\.$/, ""); since = $0 }
         match($0, /gc_auth_[a-z0-9_]+\(/) && !/^ \*/ {
             print substr($0, RSTART, RLENGTH - 1), since == "" ? "unknown" : since; since = "" }' include/gcauth.h |
        LC_ALL=C sort >"$work/documented"
    diff -u --label 'listed in tests/abi/exports' --label 'documented in gcauth.h' "$work/listed" "$work/documented"
    echo "$(wc -l <"$work/exported") functions"
}

# The toolchain decides: what is built here wants the glibc of Debian 12, while scripts/release-library gets to 2.17.
glibc() {
    local limit=${GCAUTH_GLIBC:-2.35} highest
    highest=$(nm -D --undefined-only "$library" | sed -n 's/.*@GLIBC_\([0-9.]*\)$/\1/p' | sort -V | tail -n 1)
    [ -n "$highest" ] || { echo 'the library wants nothing of glibc'; exit 1; }
    if [ "$(printf '%s\n' "$highest" "$limit" | sort -V | tail -n 1)" != "$limit" ]; then
        echo "the library needs glibc $highest, later than $limit:"
        nm -D --undefined-only "$library" | grep "GLIBC_$highest\$"
        exit 1
    fi
    echo "the library needs glibc $highest"
}

differs() { # differs LIBGCAUTH.SO: whether it breaks the baseline; additions don't
    tests/abi/dump.py "$1" "$work/now.abi"
    ! abidiff --no-added-syms tests/abi/baseline.abi "$work/now.abi" >"$work/difference"
}

# The library that is installed has no debug information, so another one is compiled.
diff_() {
    cargo build --quiet --locked -p gcauth --lib --features failpoints --target-dir "$target"
    if [ "${GCAUTH_RENEW_ABI-}" = 1 ]; then
        tests/abi/dump.py "$target/debug/libgcauth.so" tests/abi/baseline.abi
    fi
    if differs "$target/debug/libgcauth.so"; then
        cat "$work/difference"
        exit 1
    fi

    # One argument has another type, in a copy of the sources, which makes a library of another name.
    mkdir "$work/planted"
    cp -r Cargo.toml Cargo.lock build.rs cbindgen.toml README.md src cli tests examples "$work/planted"
    cd "$work/planted"
    sed -i 's/^\[lib\]$/[lib]\nname = "gcauth_planted"/' Cargo.toml
    sed -i -e 's/fn gc_auth_status_name(status: gc_auth_status_t)/fn gc_auth_status_name(status: i64)/' \
        -e 's/^    status_name(status)/    status_name(status as gc_auth_status_t)/' src/ffi/errors.rs
    cargo build --quiet --locked -p gcauth --lib --features failpoints --target-dir "$target"
    cd - >/dev/null
    differs "$target/debug/libgcauth_planted.so" || { echo 'a changed argument was not noticed'; exit 1; }
    grep -q "parameter 1 of type 'i32' changed" "$work/difference" || { cat "$work/difference"; exit 1; }
    rm -f "$target"/debug/libgcauth_planted.* "$target"/debug/deps/*gcauth_planted*
    echo 'as in the baseline; a planted change was found'
}

case $what in
    exports) exports ;;
    glibc) glibc ;;
    diff) diff_ ;;
    *) echo "abi.sh: $what: not one of exports, glibc, diff" >&2; exit 2 ;;
esac
