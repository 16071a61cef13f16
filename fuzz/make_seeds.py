"""Writes the seed corpus from ../tests/vectors and a throw-away key of each kind that openssl makes."""

import base64
import json
import pathlib
import subprocess

HERE = pathlib.Path(__file__).parent
VECTORS = HERE.parent / "tests" / "vectors"


def b64(text):
    return base64.urlsafe_b64encode(text.encode()).rstrip(b"=").decode()


def openssl(*args, data=b""):
    return subprocess.run(["openssl", *args], input=data, stdout=subprocess.PIPE, check=True).stdout


def write(target, name, text):
    directory = HERE / "seeds" / target
    directory.mkdir(parents=True, exist_ok=True)
    (directory / name).write_text(text, newline="")


def main():
    vectors = {path.stem: json.loads(path.read_text()) for path in VECTORS.glob("rfc*.json")}
    for name, vector in vectors.items():
        private = ("d", "p", "q", "dp", "dq", "qi")
        public = {k: v for k, v in vector["key"].items() if k not in private}
        write("decode", name, vector["token"])
        write("decode", name + "_payload", vector["payload"])
        write("verify", name, vector["token"])
        write("verify", name + "_jwk", vector["token"] + "\n" + json.dumps(public))
        write("verify", name + "_jwks", vector["token"] + "\n" + json.dumps({"keys": [public]}))

    payloads = {
        "claims": '{"iss":"i","sub":"s","aud":["a"],"exp":1800000000.5,"nbf":1e9,"iat":0,"jti":"j","project":{"id":"7"}}',
        "numbers": '{"a":[1e999,-0.0,9223372036854775808,1.10,1E+5]}',
        "strings": '{"\\u0061":"\\ud83d\\ude00 é \\"\\\\\\/"}',
        "duplicate": '{"exp":1,"\\u0065xp":2}',
        "deep": '{"a":' + "[" * 64 + "]" * 64 + "}",
        "blanks": ' {\t"a" : [ { } , [ ] , null , true ]\r\n} ',
    }
    for name, payload in payloads.items():
        write("decode", name, payload)
    headers = {
        "none": '{"alg":"none"}',
        "crit": '{"alg":"RS256","crit":["b64"],"b64":false}',
        "jwk": '{"alg":"RS256","kid":"k","jwk":{"kty":"RSA","n":"AQAB","e":"AQAB"}}',
    }
    for name, header in headers.items():
        write("decode", "header_" + name, f"{b64(header)}.{b64('{}')}.AAAA")

    for name, args in {
        "rsa": ["RSA", "-pkeyopt", "rsa_keygen_bits:2048"],
        "p256": ["EC", "-pkeyopt", "ec_paramgen_curve:P-256"],
        "p521": ["EC", "-pkeyopt", "ec_paramgen_curve:P-521"],
        "ed25519": ["ED25519"],
        "rsa_pss": ["RSA-PSS", "-pkeyopt", "rsa_keygen_bits:2048"],
    }.items():
        private = openssl("genpkey", "-algorithm", *args)
        alg = {"rsa": "RS256", "p256": "ES256", "p521": "ES256", "ed25519": "EdDSA", "rsa_pss": "PS256"}[name]
        token = f"{b64(json.dumps({'alg': alg}))}.{b64('{}')}.AAAA\n"
        write("verify", name + "_spki", token + openssl("pkey", "-pubout", data=private).decode())
        certificate = openssl("req", "-x509", "-key", "/dev/stdin", "-subj", "/CN=x", data=private)
        write("verify", name + "_certificate", token + certificate.decode())
        if name == "rsa":
            pkcs1 = openssl("rsa", "-RSAPublicKey_out", data=private)
            write("verify", name + "_pkcs1", token + pkcs1.decode())


main()
