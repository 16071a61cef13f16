#!/usr/bin/env bash
# The static archive: static.sh CARGO_TARGET_DIR LIBGCAUTH.A. It defines the functions of the header and nothing else,
# so that it links beside another Rust library, in either order and as a whole; it catches panics with its own unwinder.
set -euo pipefail
cd "$(dirname "$0")/../.."
target=$1
archive=$2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
unset MAKEFLAGS MFLAGS MAKELEVEL
read -ra native < <(scripts/native-libs)

cc -E -P -Iinclude include/gcauth.h | grep -o 'gc_auth_[a-z0-9_]*(' | tr -d '(' | sort -u >"$work/declared"
readelf --symbols --wide "$archive" | awk '$5 ~ /GLOBAL|WEAK/ && $7 != "UND" { print $8 }' | sort >"$work/defined"
diff -u --label 'declared in gcauth.h' --label "defined by $archive" "$work/declared" "$work/defined"
size=$(stat -c %s "$archive")
[ "$size" -lt 5000000 ] || { echo "it has $size bytes"; exit 1; }

rustc --edition 2024 --crate-type staticlib -O tests/artefacts/two_rusts.rs -o "$work/libother.a"
program() { # program NAME OPTION...
    local name=$1
    shift
    cc -std=c99 -Wall -Wextra -Wpedantic -Iinclude tests/artefacts/two_rusts.c "$@" -lgcc_s "${native[@]}" \
        -o "$work/$name"
    "$work/$name" 2>"$work/said" || { echo "$name fails"; cat "$work/said"; exit 1; }
}
program ours_first "$archive" "$work/libother.a"
program other_first "$work/libother.a" "$archive"
program whole -Wl,--whole-archive "$archive" "$work/libother.a" -Wl,--no-whole-archive

# Injected panics are not in the archive that is installed, so another one is made in the same way.
cargo build --quiet --locked -p gcauth --lib --features failpoints --target-dir "$target"
scripts/static-archive "$target/debug/libgcauth.a" "$work/libgcauth.a"
cc -std=c99 -Wall -Wextra -Wpedantic -Iinclude tests/artefacts/unwinder.c "$work/libgcauth.a" "${native[@]}" -rdynamic \
    -o "$work/panics"
"$work/panics" 2>"$work/said" || { cat "$work/said"; exit 1; }
grep -q "the test's panic at locked" "$work/said" || { cat "$work/said"; echo 'there was no panic'; exit 1; }
echo "$(wc -l <"$work/defined") functions, $size bytes, beside another Rust library"
