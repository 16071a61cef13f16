#!/usr/bin/env bash
# gcauth.hpp makes use of every function that gcauth.h declares.
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
exit $failed
