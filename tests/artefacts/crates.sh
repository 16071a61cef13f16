#!/usr/bin/env bash
# One crypto provider, one TLS stack, one HTTP client, no runtime: what the library is linked from.
set -euo pipefail
cd "$(dirname "$0")/../.."
crates=$(cargo tree --locked --edges normal --package gcauth --prefix none --format '{p}' | awk '{ print $1 }' | sort -u)

# Crypto: everything beside ring.
others='aws-lc|aws-lc-rs|aws-lc-sys|aws-lc-fips-sys|boring|boring-sys|openssl|openssl-sys|native-tls|mbedtls|graviola'
others+='|rsa|dsa|ecdsa|p256|p384|p521|k256|ed25519|ed25519-dalek|curve25519-dalek|x25519-dalek|hmac|digest'
others+='|sha1|sha2|sha3|rustcrypto|rustls-rustcrypto|orion|sodiumoxide|libsodium-sys'
# And what would make the library slow to load, or start threads.
others+='|tokio|async-std|smol|hyper|reqwest|curl|curl-sys'

failed=0
if found=$(grep -x -E "$others" <<<"$crates"); then
    echo "not wanted in the library:" $found
    failed=1
fi
for wanted in ring rustls; do
    [ "$(grep -c -x "$wanted" <<<"$crates")" = 1 ] || { echo "$wanted is missing"; failed=1; }
    versions=$(cargo tree --locked --edges normal --package gcauth --prefix none --format '{p}' | sed 's/ (\*)$//' |
        grep "^$wanted " | sort -u | wc -l)
    [ "$versions" = 1 ] || { echo "$wanted is there in $versions versions"; failed=1; }
done
exit $failed
