#!/usr/bin/env bash
# `make sandbox` does what the READMEs say: sandbox.sh CARGO_TARGET_DIR PROGRAM. What it prints is enough for the program,
# a first login, and Ctrl-C ends it.
set -euo pipefail
cd "$(dirname "$0")/../.."
export CARGO_TARGET_DIR=$1
program=$2
work=$(mktemp -d)
sandbox=
trap '[ -z "$sandbox" ] || kill -KILL -- "-$sandbox" 2>/dev/null; rm -rf "$work"' EXIT
unset MAKEFLAGS MFLAGS MAKELEVEL GCAUTH_CONFIG

fail() {
    cat "$work/said"
    echo "sandbox.sh: $*"
    exit 1
}

# In a session of its own, and with Ctrl-C as the terminal would have it, which bash takes from background jobs.
python3 -c 'import os, signal, sys
os.setsid()
signal.signal(signal.SIGINT, signal.SIG_DFL)
os.execvp(sys.argv[1], sys.argv[1:])' make sandbox SANDBOX_DIR="$work/a directory" >"$work/said" 2>&1 </dev/null &
sandbox=$!
until grep -q 'Ctrl-C ends it' "$work/said"; do
    kill -0 "$sandbox" 2>/dev/null || fail 'it did not start'
    sleep 0.05
done

line=$(sed -n 's/^ *\(export GCAUTH_CONFIG=\)/\1/p' "$work/said")
[ -n "$line" ] || fail 'nothing to export'
eval "$line"
read -r user password organization < <(
    sed -n 's/^user \([^,]*\), password \([^,]*\), organization \([^,]*\), projects: .*/\1 \2 \3/p' "$work/said")
said=$(GCAUTH_PASSWORD=$password "$program" "$user" "$organization" 2>&1) || fail "the login fails: $said"
[[ $said == 'Authorization: Bearer eyJ'* ]] || fail "the login printed $said"

kill -INT -- "-$sandbox"
wait "$sandbox" || true
sandbox=
echo 'a login went as the sandbox said'
