#!/usr/bin/env bash
# The first login that a README shows is the example, and goes as printed: readme.sh LIBRARY_DIR README LANGUAGE EXAMPLE,
# beside a sandbox. What the README says of `build/sandbox`, the sandbox of `make sandbox`, goes for that one.
set -euo pipefail
cd "$(dirname "$0")/../.."
root=$PWD
readme=$PWD/$2
language=$3
example=$4
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

block() { # block LANGUAGE: the first one after the heading
    awk -v begin="\`\`\`$1" '/^## A first login/ { under = 1 } $0 == "```" { if (inside) exit }
        inside { print } under && $0 == begin { inside = 1 }' "$readme"
}
diff -u --label "$2" --label "$example" <(block "$language") "$example"

export C_INCLUDE_PATH=$PWD/include CPLUS_INCLUDE_PATH=$PWD/include:$PWD/bindings/cpp LIBRARY_PATH=$1 LD_LIBRARY_PATH=$1
mkdir "$work/build"
ln -s "$GCAUTH_SANDBOX_DIR" "$work/build/sandbox"
ln -s "$root/examples" "$work/examples"
cd "$work"
ports() {
    sed -E 's/127\.0\.0\.1:[0-9]+/127.0.0.1:PORT/g'
}
block console | ports >printed
[ -s printed ] || { echo 'no commands found'; exit 1; }
# Each command, then what it says; one that fails is part of the session.
sed -n 's/^\$ //p' printed >commands
while IFS= read -r command <&3; do
    printf '$ %s\n' "$command"
    eval "$command" 2>&1 || true
done 3<commands | ports >happened
diff -u printed happened
