#!/usr/bin/env bash
# Another project takes this one in, by add_subdirectory and by FetchContent: subproject.sh TARGET_DIR. It gets the
# targets, and neither tests, examples nor anything to install.
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
target=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
unset MAKEFLAGS MFLAGS MAKELEVEL

try() { # try NAME COMMANDS: a project that takes this one in by these commands
    local work=$work/$1 status output
    mkdir "$work"
    cat >"$work/CMakeLists.txt" <<END
cmake_minimum_required(VERSION 3.25)
project(consumer LANGUAGES C CXX)
$2
foreach(kind IN ITEMS gcauth shared static)
  add_executable(c_\${kind} "$root/examples/c/first_login.c")
  add_executable(cpp_\${kind} "$root/examples/cpp/first_login.cpp")
  target_compile_features(cpp_\${kind} PRIVATE cxx_std_17)
  target_link_libraries(c_\${kind} PRIVATE gcauth::\${kind})
  target_link_libraries(cpp_\${kind} PRIVATE gcauth::\${kind})
endforeach()
END
    # The library that is built already; left to itself, it would be built in the consumer's build tree.
    cmake -S "$work" -B "$work/build" -DGCAUTH_CARGO_TARGET_DIR="$target"
    cmake --build "$work/build"
    for program in c_gcauth c_shared c_static cpp_gcauth cpp_shared cpp_static; do
        status=0
        output=$("$work/build/$program" 2>&1) || status=$?
        [[ $status == 2 && $output == usage:* ]] || { echo "$program does not run: $output"; exit 1; }
    done
    cmake --install "$work/build" --prefix "$work/installed"
    if find "$work/build" "$work/installed" -name demo -o -name CTestTestfile.cmake -o -name gcauth.pc | grep .; then
        echo 'examples, tests or things to install came along'
        exit 1
    fi
}

try add_subdirectory "add_subdirectory(\"$root\" gcauth)"
try fetch_content "include(FetchContent)
FetchContent_Declare(gcauth SOURCE_DIR \"$root\")
FetchContent_MakeAvailable(gcauth)"
