#!/bin/sh
# The header compiles by itself, and when it is included twice, in each standard of C and C++ that it is for.
set -eu
cd "$(dirname "$0")/../.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

printf '#include "gcauth.h"\n' >"$work/once.c"
cat >"$work/twice.c" <<'END'
#include "gcauth.h"
#include "gcauth.h"
#if GC_AUTH_VERSION_NUMBER < 100 || GC_AUTH_OK != 0
#error "not the header of libgcauth"
#endif
int uses(gc_auth_t *auth, char *buf, size_t size);
int uses(gc_auth_t *auth, char *buf, size_t size)
{
    gc_auth_status_t status = gc_auth_bearer(auth, buf, size, &size, NULL);
    return status == GC_AUTH_ERR_BUFFER_TOO_SMALL ? 1 : 0;
}
END
cp "$work/once.c" "$work/once.cpp"
sed 's/NULL/nullptr/' "$work/twice.c" >"$work/twice.cpp"

count=0
compile() { # compile COMPILER STANDARD SUFFIX
    command -v "$1" >/dev/null || return 0
    for file in once twice; do
        "$1" -std="$2" -Wall -Wextra -Wpedantic -Werror -fsyntax-only -Iinclude "$work/$file.$3" || {
            echo "the header fails: $1 -std=$2, included $file" >&2
            exit 1
        }
        count=$((count + 1))
    done
}

for standard in c99 c11 c17; do
    for compiler in gcc clang; do compile "$compiler" "$standard" c; done
done
for standard in c++11 c++14 c++17 c++20; do
    for compiler in g++ clang++; do compile "$compiler" "$standard" cpp; done
done

# A status that is ignored is warned of, unless the program says that it does not want to hear of it.
cat >"$work/ignores.c" <<'END'
#include "gcauth.h"
void ignores(gc_auth_t *auth);
void ignores(gc_auth_t *auth)
{
    gc_auth_logout(auth);
}
END
cp "$work/ignores.c" "$work/ignores.cpp"
for compiler in 'cc -std=c99' 'c++ -std=c++11' 'c++ -std=c++17'; do
    case $compiler in c++*) file=ignores.cpp ;; *) file=ignores.c ;; esac
    if $compiler -Werror -c -o /dev/null -Iinclude "$work/$file" 2>"$work/log" || ! grep -q unused-result "$work/log"; then
        echo "$compiler does not warn of a status that is ignored" >&2
        exit 1
    fi
    $compiler -Werror -DGC_AUTH_NODISCARD= -c -o /dev/null -Iinclude "$work/$file"
done

if long=$(awk 'length($0) > 100 { print FILENAME ":" FNR ": longer than 100 columns"; bad = 1 } END { exit !bad }' include/gcauth.h); then
    echo "$long" >&2
    exit 1
fi
[ "$count" -gt 0 ] || { echo "neither gcc nor clang is here" >&2; exit 1; }
echo "the header compiles: $count times"
