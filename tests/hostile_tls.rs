//! Certificates and keys as the world has them: which are good, and what is said of the others. OpenSSL makes them, and is
//! the server.

#[path = "support/peers.rs"]
mod peers;
#[path = "support/redis.rs"]
mod redis;
mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use gcauth::{Config, Error, Session, Status, Surroundings};
use peers::*;
use serde_json::{Value, json};
use support::*;

/// Runs openssl in `directory`.
#[track_caller]
fn openssl(directory: &Path, arguments: &str) {
    let output = Command::new("openssl").args(arguments.split_whitespace()).current_dir(directory).output().unwrap();
    assert!(output.status.success(), "openssl {arguments}: {}", String::from_utf8_lossy(&output.stderr));
}

/// Options of `openssl genpkey`.
const P256: &str = "-algorithm EC -pkeyopt ec_paramgen_curve:P-256";
const P384: &str = "-algorithm EC -pkeyopt ec_paramgen_curve:P-384";
const P521: &str = "-algorithm EC -pkeyopt ec_paramgen_curve:P-521";
const K256: &str = "-algorithm EC -pkeyopt ec_paramgen_curve:secp256k1";
const RSA_1024: &str = "-algorithm RSA -pkeyopt rsa_keygen_bits:1024";
const RSA_2048: &str = "-algorithm RSA -pkeyopt rsa_keygen_bits:2048";

const CA: &str = "basicConstraints=critical,CA:true\nkeyUsage=critical,keyCertSign,cRLSign";
const SERVER: &str = "subjectAltName=IP:127.0.0.1\nextendedKeyUsage=serverAuth";

/// A CA and a server's certificate by it, in a directory of their own.
struct Chain {
    directory: Directory,
}

/// How a chain is made: keys, extensions, and how each certificate is signed.
struct Made {
    ca_key: &'static str,
    key: &'static str,
    ca: String,
    server: String,
    sign: &'static str,
}

impl Made {
    fn usual() -> Self {
        Made { ca_key: P256, key: P256, ca: CA.into(), server: SERVER.into(), sign: "-sha256" }
    }
}

impl Chain {
    fn new(made: &Made) -> Self {
        let chain = Chain { directory: Directory::new() };
        let at = chain.directory.path();
        fs::write(at.join("ca.ext"), &made.ca).unwrap();
        openssl(at, &format!("genpkey {} -out ca-key.pem", made.ca_key));
        openssl(at, "req -new -key ca-key.pem -subj /CN=the-CA -out ca.csr");
        let sign = if made.ca_key.contains("ED") { "" } else { made.sign };
        openssl(at, &format!("x509 -req -in ca.csr -signkey ca-key.pem -days 3 {sign} -extfile ca.ext -out ca.pem"));
        chain.issue("server", made.key, &made.server, sign);
        chain
    }

    /// A certificate by the CA. Without extensions it is one of version 1.
    fn issue(&self, name: &str, key: &str, extensions: &str, more: &str) {
        let at = self.directory.path();
        fs::write(at.join(format!("{name}.ext")), extensions).unwrap();
        openssl(at, &format!("genpkey {key} -out {name}-key.pem"));
        openssl(at, &format!("req -new -key {name}-key.pem -subj /CN=127.0.0.1 -out {name}.csr"));
        let extensions = if extensions.is_empty() { String::new() } else { format!("-extfile {name}.ext") };
        openssl(
            at,
            &format!(
                "x509 -req -in {name}.csr -CA ca.pem -CAkey ca-key.pem -CAcreateserial -days 2 {more} {extensions} \
                 -out {name}.pem"
            ),
        );
    }

    fn file(&self, name: &str) -> PathBuf {
        self.directory.file(name)
    }

    /// A server with its certificate, and perhaps more options.
    fn serve(&self, more: &str) -> Listening {
        Listening::start("openssl s_server", |port| {
            let mut command = Command::new("openssl");
            command.current_dir(self.directory.path());
            command.args(["s_server", "-rev", "-accept", &format!("127.0.0.1:{port}")]);
            command.args("-cert server.pem -key server-key.pem -cipher DEFAULT@SECLEVEL=0".split(' '));
            command.args(more.split_whitespace());
            command
        })
    }
}

fn session_of(config: &Value) -> Session {
    let config = Config::load(Some(&config.to_string()), &Surroundings::default()).unwrap();
    Session::new(config, None, None, None).unwrap()
}

fn config_at(port: u16, more: &Value) -> Value {
    let mut config = json!({
        "env": "x", "environments": {"x": {"host": format!("https://127.0.0.1:{port}")}}, "retries": 0,
        "timeout_ms": 60_000,
    });
    config.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    config
}

/// What a login at such a server ends with.
fn outcome(made: &Made) -> Error {
    let chain = Chain::new(made);
    let server = chain.serve("");
    login(&session_of(&config_at(server.port, &json!({"ca_file": chain.file("ca.pem")})))).unwrap_err()
}

/// Whether the handshake is through: the server says what it was told, letter by letter backwards, which is not HTTP.
#[track_caller]
fn assert_through(error: &Error) {
    assert!(error.status() == Status::Protocol && error.message().contains("not valid HTTP"), "{error}");
}

#[test]
fn good_ones() {
    if !is_installed("openssl") {
        return;
    }
    for (ca_key, key, sign) in [
        (P256, P256, "-sha256"),
        (P384, P256, "-sha384"),
        (RSA_2048, RSA_2048, "-sha512"),
        ("-algorithm ED25519", "-algorithm ED25519", ""),
        (P256, RSA_2048, "-sha384"),
    ] {
        assert_through(&outcome(&Made { ca_key, key, sign, ..Made::usual() }));
    }
    // An expired root is a root: it is trusted because somebody put it there.
    let chain = Chain::new(&Made::usual());
    openssl(
        chain.directory.path(),
        "x509 -req -in ca.csr -signkey ca-key.pem -days -1 -sha256 -extfile ca.ext -out expired.pem",
    );
    let server = chain.serve("");
    assert_through(
        &login(&session_of(&config_at(server.port, &json!({"ca_file": chain.file("expired.pem")})))).unwrap_err(),
    );
}

#[test]
fn each_trouble_has_its_own_sentence() {
    if !is_installed("openssl") {
        return;
    }
    let usual = Made::usual;
    let server = |extensions: &str| Made { server: extensions.into(), ..usual() };
    let ca = |extensions: &str| Made { ca: format!("{CA}\n{extensions}"), ..usual() };
    for (what, made, words) in [
        ("a CA with a P-521 key", Made { ca_key: P521, ..usual() }, &["P-521 key", "not supported"][..]),
        ("P-521, by SHA-512", Made { ca_key: P521, sign: "-sha512", ..usual() }, &["P-521 key"]),
        ("a CA with an Ed448 key", Made { ca_key: "-algorithm ED448", ..usual() }, &["Ed448 key", "not supported"]),
        ("a CA on secp256k1", Made { ca_key: K256, ..usual() }, &["another elliptic curve", "not supported"]),
        ("a CA with RSA of 1024 bits", Made { ca_key: RSA_1024, ..usual() }, &["RSA key under 2048 bits"]),
        ("RSA of 1024 bits", Made { key: RSA_1024, ..usual() }, &["RSA key under 2048 bits"]),
        ("a P-521 key", Made { key: P521, ..usual() }, &["P-521"]),
        ("an Ed448 key", Made { key: "-algorithm ED448", ..usual() }, &["Ed448"]),
        ("ECDSA by SHA-512", Made { sign: "-sha512", ..usual() }, &["ECDSA and SHA-512", "not supported"]),
        ("ECDSA by SHA-1", Made { sign: "-sha1", ..usual() }, &["ECDSA and SHA-1", "not supported"]),
        ("RSA by SHA-1", Made { ca_key: RSA_2048, sign: "-sha1", ..usual() }, &["RSA and SHA-1", "not supported"]),
        ("version 1", server(""), &["version 1", "not supported"]),
        ("no name", server("extendedKeyUsage=serverAuth"), &["names no host", "subjectAltName"]),
        ("another name", server("subjectAltName=DNS:other.test"), &["for another host (other.test)", "check"]),
        ("a client's", server("subjectAltName=IP:127.0.0.1\nextendedKeyUsage=clientAuth"), &["another purpose"]),
        ("constraints", ca("nameConstraints=critical,permitted;IP:10.0.0.0/255.0.0.0"), &["name constraints"]),
        (
            "an odd extension",
            server("subjectAltName=IP:127.0.0.1\n1.2.3.4=critical,ASN1:NULL"),
            &["critical extension"],
        ),
    ] {
        let error = outcome(&made);
        assert_eq!(error.status(), Status::Tls, "{what}: {error}");
        assert!(words.iter().all(|word| error.message().contains(word)), "{what}: {error}");
        assert!(error.message().contains("the server") && error.message().contains("; "), "{what}: {error}");
        assert!(!error.is_retryable() && error.message().len() < 400, "{what}: {error}");
    }
}

#[test]
fn a_chain_by_a_certificate_that_is_no_ca() {
    if !is_installed("openssl") {
        return;
    }
    let chain = Chain::new(&Made::usual());
    let at = chain.directory.path();
    openssl(at, "req -new -key server-key.pem -subj /CN=below -out below.csr");
    openssl(
        at,
        "x509 -req -in below.csr -CA server.pem -CAkey server-key.pem -CAcreateserial -days 2 -extfile server.ext -out below.pem",
    );
    fs::rename(at.join("server.pem"), at.join("middle.pem")).unwrap();
    fs::rename(at.join("below.pem"), at.join("server.pem")).unwrap();
    let server = chain.serve("-cert_chain middle.pem");
    let error = login(&session_of(&config_at(server.port, &json!({"ca_file": chain.file("ca.pem")})))).unwrap_err();
    assert!(error.status() == Status::Tls && error.message().contains("is no CA's"), "{error}");
}

// Whom to trust.

/// What there is beside the usual PEM.
#[test]
fn files_of_cas_in_many_forms() {
    if !is_installed("openssl") {
        return;
    }
    let chain = Chain::new(&Made::usual());
    let server = chain.serve("");
    let usual = fs::read_to_string(chain.file("ca.pem")).unwrap();
    openssl(chain.directory.path(), "x509 -in ca.pem -trustout -addtrust serverAuth -setalias mine -out trusted.pem");
    let trusted = fs::read_to_string(chain.file("trusted.pem")).unwrap();
    assert!(trusted.contains("BEGIN TRUSTED CERTIFICATE"));
    let broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let latin_1 = [b"# f\xfcr uns\n".as_slice(), usual.as_bytes()].concat();
    let key = fs::read_to_string(chain.file("ca-key.pem")).unwrap();
    for (what, bytes) in [
        ("as it is", usual.clone().into_bytes()),
        ("OpenSSL's own", trusted.into_bytes()),
        ("the old name", usual.replace("CERTIFICATE", "X509 CERTIFICATE").into_bytes()),
        ("a byte order mark", format!("\u{feff}{usual}").into_bytes()),
        ("CRLF", usual.replace('\n', "\r\n").into_bytes()),
        ("escaped line ends", usual.replace('\n', "\\n").into_bytes()),
        ("a comment", latin_1),
        ("another that is broken", format!("{broken}{usual}").into_bytes()),
        ("a key before it", format!("{key}{usual}").into_bytes()),
    ] {
        let file = chain.file("form.pem");
        fs::write(&file, bytes).unwrap();
        for more in [json!({"ca_file": file}), json!({"ca_extra_file": file})] {
            let error = login(&session_of(&config_at(server.port, &more))).unwrap_err();
            assert_eq!(error.status(), Status::Protocol, "{what}: {error}");
        }
    }
    openssl(chain.directory.path(), "x509 -in ca.pem -outform DER -out ca.der");
    fs::create_dir(chain.file("folder")).unwrap();
    let utf_16: Vec<u8> = [0xff, 0xfe].into_iter().chain(usual.bytes().flat_map(|byte| [byte, 0])).collect();
    for (what, bytes, words) in [
        ("nothing", Vec::new(), "is empty"),
        ("a key", key.into_bytes(), "holds no CERTIFICATE, but a PRIVATE KEY"),
        ("DER", fs::read(chain.file("ca.der")).unwrap(), "DER"),
        ("UTF-16", utf_16, "UTF-16"),
        ("a page", b"<html>".to_vec(), "nothing in PEM form"),
        ("broken", broken.into(), "damaged"),
        ("no base64", broken.replace("AAAA", "!!!").into_bytes(), "damaged"),
    ] {
        let file = chain.file("form.pem");
        fs::write(&file, bytes).unwrap();
        for key in ["ca_file", "ca_extra_file"] {
            let error = login(&session_of(&config_at(server.port, &json!({key: file})))).unwrap_err();
            assert_eq!(error.status(), Status::Config, "{what}: {error}");
            let name = format!("config key \"{key}\": {} ", file.display());
            assert!(error.message().contains(&name) && error.message().contains(words), "{what}: {error}");
        }
    }
    for (file, words) in [("missing.pem", "does not exist"), ("folder", "is a directory")] {
        let more = json!({"ca_file": chain.file(file)});
        let error = login(&session_of(&config_at(server.port, &more))).unwrap_err();
        assert!(error.status() == Status::Config && error.message().contains(words), "{error}");
    }
}

#[test]
fn an_extra_ca_is_added_and_another_takes_the_place() {
    if !is_installed("openssl") {
        return;
    }
    let (one, other) = (Chain::new(&Made::usual()), Chain::new(&Made::usual()));
    let servers = [one.serve(""), other.serve("")];
    let (first, second) = (one.file("ca.pem"), other.file("ca.pem"));
    for (more, expected) in [
        (json!({"ca_file": first}), [true, false]),
        (json!({"ca_file": first, "ca_extra_file": second}), [true, true]),
        (json!({"ca_extra_file": second}), [false, true]),
        (json!({"ca_file": first, "redis_ca_file": second}), [true, false]),
    ] {
        for (server, is_trusted) in servers.iter().zip(expected) {
            let error = login(&session_of(&config_at(server.port, &more))).unwrap_err();
            assert_eq!(error.status(), if is_trusted { Status::Protocol } else { Status::Tls }, "{more}: {error}");
        }
    }
    // The same by the environment: a list of directories, with names of any kind in them.
    let directories = ["empty", "a", "b"].map(|name| one.file(name));
    for (directory, ca) in directories.iter().skip(1).zip([&first, &second]) {
        fs::create_dir(directory).unwrap();
        fs::copy(ca, directory.join("0123abcd.0")).unwrap();
        fs::create_dir(directory.join("below")).unwrap();
    }
    let list = std::env::join_paths(&directories).unwrap();
    for (file, directory, expected) in [
        (None, Some(list.clone()), [true, true]),
        (None, Some(directories[1].clone().into()), [true, false]),
        (Some(second.clone()), Some(directories[1].clone().into()), [true, true]),
        (Some(second.clone()), Some(directories[0].clone().into()), [false, true]),
    ] {
        let mut surroundings = Surroundings::default();
        surroundings.ssl_cert_file = file;
        surroundings.ssl_cert_dir = directory.map(PathBuf::from);
        for (server, is_trusted) in servers.iter().zip(expected) {
            let config = config_at(server.port, &json!({})).to_string();
            let session = Session::new(Config::load(Some(&config), &surroundings).unwrap(), None, None, None).unwrap();
            let error = login(&session).unwrap_err();
            assert_eq!(
                error.status(),
                if is_trusted { Status::Protocol } else { Status::Tls },
                "{:?}: {error}",
                surroundings.ssl_cert_dir
            );
        }
    }
}

/// The store has a CA of its own, and is shown the client certificate.
#[test]
fn a_redis_with_a_ca_of_its_own() {
    let Some(server) = redis::RedisServer::start_with_tls(&[]) else { return };
    let (world, other) = (World::new(), Certificates::new());
    let file = |name: &str| server.dir().join(name);
    let session = |more: Value| {
        let mut config = json!({"store": server.tls_url(), "ca_file": other.file("ca.pem"),
            "client_cert_file": file("server.pem"), "client_key_file": file("server-key.pem")});
        config.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        world.session(config)
    };
    let own = session(json!({"redis_ca_file": server.ca_file()}));
    login(&own).unwrap();
    let place =
        format!("the session store at 127.0.0.1:{}'s certificate", server.tls_url().rsplit(':').next().unwrap());
    let error = assert_status(login(&session(json!({}))), Status::Store);
    assert!(error.message().contains(&place) && error.message().contains("set redis_ca_file"), "{error}");
    // What is added is added for the store as well.
    login(&session(json!({"ca_extra_file": server.ca_file()}))).unwrap();
    let missing = json!({"redis_ca_file": file("missing.pem")});
    let error = assert_status(login(&session(missing)), Status::Config);
    assert!(error.message().contains("config key \"redis_ca_file\""), "{error}");
    let stranger = json!({"redis_ca_file": server.ca_file(), "client_cert_file": other.file("client.pem"),
        "client_key_file": other.file("client-key.pem")});
    let error = assert_status(login(&session(stranger)), Status::Store);
    assert!(error.message().contains("client certificate") || error.message().contains("closed"), "{error}");
}

// Who we are.

#[test]
fn client_certificates_and_keys_that_can_not_be_used() {
    if !is_installed("openssl") {
        return;
    }
    let chain = Chain::new(&Made::usual());
    let at = chain.directory.path();
    const CLIENT: &str = "extendedKeyUsage=clientAuth";
    chain.issue("good", P256, CLIENT, "");
    chain.issue("rsa", RSA_2048, CLIENT, "");
    chain.issue("p521", P521, CLIENT, "");
    chain.issue("ed448", "-algorithm ED448", CLIENT, "");
    chain.issue("k256", K256, CLIENT, "");
    chain.issue("weak", RSA_1024, CLIENT, "");
    chain.issue("v1", P256, "", "");
    openssl(at, "pkcs8 -topk8 -in good-key.pem -passout pass:canary -out encrypted-key.pem");
    openssl(at, "rsa -in rsa-key.pem -traditional -aes128 -passout pass:canary -out encrypted-old-key.pem");
    openssl(at, "rsa -in rsa-key.pem -traditional -out rsa-old-key.pem");
    openssl(at, "ec -in good-key.pem -out sec1-key.pem");
    openssl(at, "ec -in p521-key.pem -out p521-sec1-key.pem");
    openssl(at, "pkey -in good-key.pem -outform DER -out der-key.pem");
    openssl(at, "pkey -in good-key.pem -pubout -out public-key.pem");
    openssl(at, "pkcs12 -export -in good.pem -inkey good-key.pem -passout pass:canary -out good.p12");
    fs::write(at.join("empty.pem"), "").unwrap();
    fs::write(
        at.join("openssh-key.pem"),
        "-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----\n",
    )
    .unwrap();
    fs::write(at.join("broken-key.pem"), "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n").unwrap();
    let marked = format!("\u{feff}{}", fs::read_to_string(at.join("good-key.pem")).unwrap());
    fs::write(at.join("marked-key.pem"), marked.replace('\n', "\r\n")).unwrap();
    let marked = format!("\u{feff}{}", fs::read_to_string(at.join("good.pem")).unwrap());
    fs::write(at.join("marked.pem"), marked).unwrap();
    let server = chain.serve("-Verify 1 -CAfile ca.pem");
    let attempt = |cert: &str, key: &str| {
        let more = json!({
            "ca_file": chain.file("ca.pem"),
            "client_cert_file": chain.file(cert), "client_key_file": chain.file(key),
        });
        login(&session_of(&config_at(server.port, &more))).unwrap_err()
    };
    for (cert, key) in [
        ("good.pem", "good-key.pem"),
        ("good.pem", "sec1-key.pem"),
        ("rsa.pem", "rsa-key.pem"),
        ("rsa.pem", "rsa-old-key.pem"),
        ("marked.pem", "marked-key.pem"),
    ] {
        let error = attempt(cert, key);
        assert_eq!(error.status(), Status::Protocol, "{cert} {key}: {error}");
    }
    for (cert, key, names, words) in [
        ("good.pem", "encrypted-key.pem", "client_key_file", "is encrypted"),
        ("rsa.pem", "encrypted-old-key.pem", "client_key_file", "is encrypted"),
        ("good.pem", "rsa-key.pem", "client_key_file", "is not the key of the certificate in"),
        ("good.pem", "server-key.pem", "client_key_file", "is not the key of the certificate in"),
        ("p521.pem", "p521-key.pem", "client_key_file", "a P-521 key"),
        ("p521.pem", "p521-sec1-key.pem", "client_key_file", "a P-521 key"),
        ("ed448.pem", "ed448-key.pem", "client_key_file", "an Ed448 key"),
        ("k256.pem", "k256-key.pem", "client_key_file", "another elliptic curve"),
        ("weak.pem", "weak-key.pem", "client_key_file", "an RSA key under 2048 bits"),
        ("good.pem", "openssh-key.pem", "client_key_file", "OpenSSH"),
        ("good.pem", "broken-key.pem", "client_key_file", "damaged"),
        ("good.pem", "der-key.pem", "client_key_file", "DER"),
        ("good.pem", "public-key.pem", "client_key_file", "no PRIVATE KEY, but a PUBLIC KEY"),
        ("good.pem", "good.pem", "client_key_file", "no PRIVATE KEY, but a CERTIFICATE"),
        ("good.pem", "empty.pem", "client_key_file", "is empty"),
        ("good.pem", "missing.pem", "client_key_file", "does not exist"),
        ("v1.pem", "v1-key.pem", "client_cert_file", "version 1"),
        ("good-key.pem", "good-key.pem", "client_cert_file", "no CERTIFICATE, but a PRIVATE KEY"),
        ("good.p12", "good-key.pem", "client_cert_file", "PKCS#12"),
        ("empty.pem", "good-key.pem", "client_cert_file", "is empty"),
        ("missing.pem", "good-key.pem", "client_cert_file", "does not exist"),
    ] {
        let error = attempt(cert, key);
        assert_eq!(error.status(), Status::Config, "{cert} {key}: {error}");
        let file = chain.file(if names == "client_key_file" { key } else { cert });
        let name = format!("config key \"{names}\": {} ", file.display());
        assert!(error.message().contains(&name) && error.message().contains(words), "{cert} {key}: {error}");
        assert!(!error.message().contains("canary"), "{error}");
    }
}

/// What a server says of our certificate is told as that, by file.
#[test]
fn client_certificates_that_the_server_refuses() {
    if !is_installed("openssl") {
        return;
    }
    let (chain, stranger) = (Chain::new(&Made::usual()), Chain::new(&Made::usual()));
    chain.issue("old", P256, "extendedKeyUsage=clientAuth", "-days -1");
    stranger.issue("mine", P256, "extendedKeyUsage=clientAuth", "");
    for version in ["-tls1_2", "-tls1_3"] {
        let server = chain.serve(&format!("-Verify 1 -verify_return_error -CAfile ca.pem {version}"));
        for (owner, name, words) in [
            (None, "", "client_cert_file"),
            (Some(&chain), "old", "it has expired"),
            (Some(&stranger), "mine", "unknown CA"),
        ] {
            let mut more = json!({"ca_file": chain.file("ca.pem")});
            if let Some(owner) = owner {
                more["client_cert_file"] = json!(owner.file(&format!("{name}.pem")));
                more["client_key_file"] = json!(owner.file(&format!("{name}-key.pem")));
            }
            let error = login(&session_of(&config_at(server.port, &more))).unwrap_err();
            // The connection may be gone before its last words are read.
            if error.status() == Status::Connect {
                continue;
            }
            assert!(error.status() == Status::Tls && error.message().contains(words), "{version} {name}: {error}");
        }
    }
}

// Files that change.

/// Puts another version of a file in its place, as tools do that renew certificates.
fn replace(file: &Path, by: &Path) {
    let next = file.with_extension("next");
    fs::copy(by, &next).unwrap();
    fs::rename(&next, file).unwrap();
}

#[test]
fn a_file_that_has_changed_is_read_again() {
    let (world, right, wrong) = (World::new(), Certificates::new(), Certificates::new());
    let upstream = world.sandbox.http_url().trim_end_matches("/api/v1").to_owned();
    let wanted = format!("ssl_verify_client on; ssl_client_certificate {};", right.file("ca.pem"));
    let Some(nginx) = Nginx::start(&right, &upstream, &wanted) else { return };
    let directory = Directory::new();
    let [ca, cert, key] = ["ca.pem", "client.pem", "client-key.pem"].map(|name| {
        let file = directory.file(name);
        fs::copy(wrong.file(name), &file).unwrap();
        (file, PathBuf::from(right.file(name)), PathBuf::from(wrong.file(name)))
    });
    let session = world.session(json!({
        "environments": {"sandbox": {"host": nginx.url("127.0.0.1")}},
        "ca_file": ca.0, "client_cert_file": cert.0, "client_key_file": key.0,
    }));
    assert_status(login(&session), Status::Tls);
    // A CA that was corrected.
    replace(&ca.0, &ca.1);
    assert_status(login(&session), Status::Unauthorized);
    // A client certificate that was renewed. In between its two files don't belong together: the old ones go on.
    replace(&cert.0, &cert.1);
    assert_status(login(&session), Status::Unauthorized);
    replace(&key.0, &key.1);
    login(&session).unwrap();
    // A file that vanishes for a moment takes nothing away.
    fs::remove_file(&ca.0).unwrap();
    session.refresh(None).unwrap();
    replace(&ca.0, &ca.2);
    assert_status(session.refresh(None), Status::Tls);
    // The same size, time and inode, but another text: seen after the failure.
    let seen = fs::metadata(&ca.0).unwrap();
    let (size, time) = (usize::try_from(seen.len()).unwrap(), seen.modified().unwrap());
    let mut text = fs::read(&ca.1).unwrap();
    text.resize(size.max(text.len()), b'\n');
    fs::write(&ca.0, &text).unwrap();
    fs::File::options().append(true).open(&ca.0).unwrap().set_modified(time).unwrap();
    session.refresh(None).unwrap();
}
