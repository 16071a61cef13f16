#!/usr/bin/env bash
# The library without Redis: without_redis.sh LIBGCAUTH.SO CARGO_TARGET_DIR SOVERSION. It exports the same
# functions, is smaller than the usual LIBGCAUTH.SO, and says so when a config asks for Redis.
set -euo pipefail
cd "$(dirname "$0")/../.."
usual=$1
target=$2
soversion=$3
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
unset MAKEFLAGS MFLAGS MAKELEVEL GCAUTH_CONFIG

make --silent library REDIS=no CARGO_TARGET_DIR="$target/without-redis" ARCHIVE="$work/libgcauth.a"
library=$target/without-redis/release/libgcauth.so
tests/artefacts/exports.sh "$library" "$soversion"
strip -o "$work/without.so" "$library"
strip -o "$work/usual.so" "$usual"
[ "$(stat -c %s "$work/without.so")" -lt "$(stat -c %s "$work/usual.so")" ] || { echo 'it is not smaller'; exit 1; }

cc -std=c99 -Wall -Wextra -Wpedantic -Iinclude tests/artefacts/without_redis.c "$library" \
    -Wl,-rpath,"$(dirname "$(realpath "$library")")" -o "$work/program"
ln -sf libgcauth.so "$target/without-redis/release/libgcauth.so.$soversion"
"$work/program" "$work/session"
