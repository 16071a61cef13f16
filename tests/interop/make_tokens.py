"""Makes tokens and keys with PyJWT, joserfc and cryptography, for tests/token_interop.rs.

Prints one JSON array of {"maker", "alg", "token", "payload", "pem", "certificate", "jwk", "jwks"}; nothing is written to disk.
"""

import datetime
import json
import sys
import time

import jwt
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import NameOID
from joserfc import jwk as jose_jwk
from joserfc import jwt as jose_jwt

ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA"]


def private_keys():
    rsa_key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    keys = {name: rsa_key for name in ALGORITHMS if name[0] in "RP"}
    keys["ES256"] = ec.generate_private_key(ec.SECP256R1())
    keys["ES384"] = ec.generate_private_key(ec.SECP384R1())
    keys["EdDSA"] = ed25519.Ed25519PrivateKey.generate()
    return keys


def public_pem(key):
    return key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    ).decode()


def certificate(key):
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Émetteur ✓")])
    day = datetime.timedelta(days=1)
    now = datetime.datetime.now(datetime.timezone.utc)
    digest = None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256()
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - day)
        .not_valid_after(now + day)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .sign(key, digest)
        .public_bytes(serialization.Encoding.PEM)
        .decode()
    )


def main():
    now = int(time.time())
    claims = {
        "iss": "https://auth.example",
        "sub": "ana",
        "aud": ["a", "b"],
        "iat": now,
        "nbf": now - 1.5,
        "exp": now + 3600,
        "project_id": 2**63 - 1,
        "name": "Ana Müller \U0001f9ec",
    }
    payload = json.dumps(claims, separators=(",", ":"), ensure_ascii=False)
    made = []
    for alg, key in private_keys().items():
        private_pem = key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        kid = "key of " + alg
        jose_key = jose_jwk.import_key(private_pem, {"RS": "RSA", "PS": "RSA", "ES": "EC", "Ed": "OKP"}[alg[:2]])
        public = dict(jose_key.as_dict(private=False), kid=kid, use="sig", alg=alg)
        tokens = {
            "PyJWT": jwt.encode(claims, private_pem, algorithm=alg, headers={"kid": kid}),
            "joserfc": jose_jwt.encode({"alg": alg, "kid": kid}, claims, jose_key, algorithms=[alg]),
        }
        for maker, token in tokens.items():
            made.append(
                {
                    "maker": maker,
                    "alg": alg,
                    "token": token,
                    "payload": payload,
                    "pem": public_pem(key),
                    "certificate": certificate(key),
                    "jwk": json.dumps(public),
                    "jwks": json.dumps({"keys": [public]}),
                }
            )
    json.dump(made, sys.stdout)


main()
