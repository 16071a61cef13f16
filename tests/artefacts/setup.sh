#!/usr/bin/env bash
# Where Rust is missing, scripts/setup says so once, whatever is wanted, and fails.
set -euo pipefail
cd "$(dirname "$0")/../.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# All programs of this machine but Rust's, and none that installs anything.
mkdir "$work/bin"
for directory in /usr/local/bin /usr/bin /bin /usr/sbin /sbin; do
    ln -sf "$directory"/* "$work/bin" 2>/dev/null || true
done
rm -f "$work"/bin/{cargo,rustc,apt-get}

for needs in build 'build demo' test 'test package'; do
    status=0
    # shellcheck disable=SC2086
    PATH=$work/bin scripts/setup $needs >"$work/said" 2>&1 || status=$?
    count=$(grep -c 'please install Rust' "$work/said" || true)
    if [ "$status" = 0 ] || [ "$count" != 1 ]; then
        cat "$work/said"
        echo "setup $needs: exit status $status, and Rust is named $count times"
        exit 1
    fi
done
echo 'Rust is asked for once'
