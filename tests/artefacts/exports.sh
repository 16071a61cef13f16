#!/usr/bin/env bash
# The shared library: exports.sh LIBGCAUTH.SO SOVERSION. It exports the functions of the header and nothing else, has
# its name, and is small.
set -euo pipefail
cd "$(dirname "$0")/../.."
library=$1
soversion=$2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failed=0

nm -D --defined-only "$library" | awk '{ print $NF }' | sed 's/@.*//' | sort >"$work/exported"
cc -E -P -Iinclude include/gcauth.h | grep -o 'gc_auth_[a-z0-9_]*(' | tr -d '(' | sort -u >"$work/declared"
[ -s "$work/declared" ] || { echo 'no function found in the header' >&2; exit 1; }
diff -u --label 'declared in gcauth.h' --label "exported by $library" "$work/declared" "$work/exported" || failed=1

soname=$(readelf -d "$library" | sed -n 's/.*Library soname: \[\(.*\)\]/\1/p')
if [ "$soname" != "libgcauth.so.$soversion" ]; then
    echo "the SONAME is '$soname', not libgcauth.so.$soversion"
    failed=1
fi
if ! readelf -d "$library" | grep -q NODELETE; then
    echo 'the library would be unloaded by dlclose, with threads inside'
    failed=1
fi

strip -o "$work/stripped.so" "$library"
size=$(stat -c %s "$work/stripped.so")
if [ "$size" -ge 3200000 ]; then
    echo "stripped it has $size bytes, more than 3.2 MB"
    failed=1
fi
echo "$(wc -l <"$work/exported") functions, $soname, $size bytes when stripped"
exit $failed
