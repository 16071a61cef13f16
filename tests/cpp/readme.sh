#!/usr/bin/env bash
# The first login in the README of the C++ header is the example, and goes as printed: readme.sh LIBRARY_DIR, beside a
# sandbox.
set -euo pipefail
cd "$(dirname "$0")/../.."
readme=$PWD/bindings/cpp/README.md
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

block() { # block LANGUAGE: the first one
    awk -v begin="\`\`\`$1" '$0 == "```" { if (inside) exit } inside { print } $0 == begin { inside = 1 }' "$readme"
}
diff -u --label README.md --label first_login.cpp <(block cpp) examples/cpp/first_login.cpp

export CPLUS_INCLUDE_PATH=$PWD/include:$PWD/bindings/cpp LIBRARY_PATH=$1 LD_LIBRARY_PATH=$1
cp examples/cpp/first_login.cpp "$work"
cd "$work"
ports() {
    sed -E 's/127\.0\.0\.1:[0-9]+/127.0.0.1:PORT/g'
}
block console | ports >printed
[ -s printed ] || { echo 'no commands found'; exit 1; }
# Each command, then what it says; one that fails is part of the session.
sed -n 's/^\$ //p' printed | sed "s:/tmp/gcauth-sandbox:$GCAUTH_SANDBOX_DIR:" >commands
while IFS= read -r command <&3; do
    printf '$ %s\n' "${command//"$GCAUTH_SANDBOX_DIR"//tmp/gcauth-sandbox}"
    eval "$command" 2>&1 || true
done 3<commands | ports >happened
diff -u printed happened
