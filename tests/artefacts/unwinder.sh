#!/usr/bin/env bash
# The shared library has an unwinder of its own: unwinder.sh LIBGCAUTH.SO CARGO_TARGET_DIR. It needs none of another
# library, and uses none of a program that exports one.
set -euo pipefail
cd "$(dirname "$0")/../.."
library=$1
target=$2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
unset MAKEFLAGS MFLAGS MAKELEVEL

# Injected panics are not in the library that is installed, so another one is made in the same way.
cargo build --quiet --locked -p gcauth --lib --features failpoints --target-dir "$target"
cp "$target/debug/libgcauth.so" "$work/libgcauth.so.0"

for file in "$library" "$work/libgcauth.so.0"; do
    if readelf -d "$file" | grep 'NEEDED.*libgcc_s' || nm -D "$file" | grep ' _Unwind_'; then
        echo "$file hangs on somebody else's unwinder"
        exit 1
    fi
done

cc -std=c99 -Wall -Wextra -Wpedantic -Iinclude tests/artefacts/unwinder.c "$work/libgcauth.so.0" -rdynamic \
    -Wl,-rpath,"$work" -o "$work/program"
nm -D --defined-only "$work/program" | grep -q ' _Unwind_RaiseException$' || { echo 'nothing is exported'; exit 1; }
RUST_BACKTRACE=1 "$work/program" 2>"$work/said" || { cat "$work/said"; exit 1; }
grep -q "the test's panic at locked" "$work/said" || { cat "$work/said"; echo 'there was no panic'; exit 1; }
echo 'a panic was caught by the unwinder of the library'
