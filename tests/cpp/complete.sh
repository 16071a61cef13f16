#!/usr/bin/env bash
# gcauth.hpp makes use of every function that gcauth.h declares, and names C++17 to a compiler that is set to less.
set -euo pipefail
cd "$(dirname "$0")/../.."
functions=$(cc -E -P -Iinclude include/gcauth.h | grep -o 'gc_auth_[a-z0-9_]*(' | tr -d '(' | sort -u)
[ -n "$functions" ] || { echo 'no function found in gcauth.h'; exit 1; }
# What the documentation says of them does not count.
code=$(sed -e 's://.*::' -e 's:^ *\*.*::' -e 's:/\*.*::' bindings/cpp/gcauth.hpp)
failed=0
for function in $functions; do
    grep -q -w "$function" <<<"$code" || {
        echo "gcauth.hpp has nothing for $function"
        failed=1
    }
done

errors() { # errors OPTION...: what the compiler says of the header
    LC_ALL=C c++ -fsyntax-only -Iinclude "$@" bindings/cpp/gcauth.hpp 2>&1 | grep 'error' || true
}
for standard in 11 14; do
    said=$(errors -std=c++$standard -x c++)
    [[ $said == *'#error "gcauth.hpp needs C++17 or later'* && $(wc -l <<<"$said") == 2 ]] || {
        echo "with C++$standard the compiler says: $said"
        failed=1
    }
done
exit $failed
