#!/usr/bin/env bash
# Another project takes this one in by add_subdirectory: subproject.sh TARGET_DIR. It gets the targets, and neither
# tests nor examples.
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
unset MAKEFLAGS MFLAGS MAKELEVEL

cat >"$work/CMakeLists.txt" <<END
cmake_minimum_required(VERSION 3.25)
project(consumer LANGUAGES C CXX)
add_subdirectory("$root" gcauth)
add_executable(shared "$root/examples/c/first_login.c")
target_link_libraries(shared PRIVATE gcauth::gcauth)
add_executable(static "$root/examples/c/first_login.c")
target_link_libraries(static PRIVATE gcauth::static)
END
# The library that is built already; left to itself, it would be built in the consumer's build tree.
cmake -S "$work" -B "$work/build" -DGCAUTH_CARGO_TARGET_DIR="$1"
cmake --build "$work/build"
for program in shared static; do
    status=0
    "$work/build/$program" 2>"$work/usage" || status=$?
    [ "$status" = 2 ] && grep -q '^usage: ' "$work/usage" || { echo "$program does not run"; exit 1; }
done
if find "$work/build" -name demo -o -name CTestTestfile.cmake | grep .; then
    echo 'examples or tests came along'
    exit 1
fi
