//! What a sandbox is started with.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use crate::tls::BadTls;

/// How access tokens are signed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Algorithm {
    /// RSA PKCS#1 v1.5 with SHA-256, 2048 bits.
    #[default]
    Rs256,
    /// ECDSA on P-256 with SHA-256.
    Es256,
    /// Ed25519.
    EdDsa,
}

impl Algorithm {
    /// The name in a token's header.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Algorithm::Rs256 => "RS256",
            Algorithm::Es256 => "ES256",
            Algorithm::EdDsa => "EdDSA",
        }
    }
}

impl FromStr for Algorithm {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        [Algorithm::Rs256, Algorithm::Es256, Algorithm::EdDsa]
            .into_iter()
            .find(|algorithm| algorithm.name().eq_ignore_ascii_case(name))
            .ok_or_else(|| format!("{name}: not one of RS256, ES256, EdDSA"))
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A project: the slug that goes over the wire, and the number that stands in the token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Project {
    /// What `project` in a request says.
    pub slug: String,
    /// The claim `project_id`.
    pub id: i64,
}

/// Somebody who can log in.
#[derive(Clone, PartialEq, Eq)]
pub struct User {
    /// The user name, also the claim `sub`.
    pub username: String,
    /// The password.
    pub password: String,
    /// The one organization that the user belongs to.
    pub organization: String,
    /// The projects that the user may work in.
    pub projects: Vec<Project>,
}

impl User {
    /// The user of the demo: `ada`, password `lovelace`, organization `analytical-engines`, with the projects
    /// `genomes`, whose id is larger than a double can hold exactly, and `exomes`.
    #[must_use]
    pub fn demo() -> User {
        User {
            username: "ada".into(),
            password: "lovelace".into(),
            organization: "analytical-engines".into(),
            projects: vec![
                Project { slug: "genomes".into(), id: 9_007_199_254_740_993 },
                Project { slug: "exomes".into(), id: 42 },
            ],
        }
    }
}

impl FromStr for User {
    type Err = String;

    /// `NAME:PASSWORD:ORGANIZATION[:PROJECT,PROJECT...]`; the projects get the ids 1001, 1002 and so on.
    fn from_str(text: &str) -> Result<Self, String> {
        let parts: Vec<&str> = text.split(':').collect();
        let (username, password, organization, projects) = match *parts.as_slice() {
            [username, password, organization] => (username, password, organization, ""),
            [username, password, organization, projects] => (username, password, organization, projects),
            _ => {
                return Err("not of the form NAME:PASSWORD:ORGANIZATION[:PROJECT,PROJECT...]".into());
            }
        };
        if username.is_empty() || password.is_empty() || organization.is_empty() {
            return Err("name, password and organization may not be empty".into());
        }
        let projects = projects
            .split(',')
            .filter(|slug| !slug.is_empty())
            .zip(1001..)
            .map(|(slug, id)| Project { slug: slug.into(), id })
            .collect();
        Ok(User { username: username.into(), password: password.into(), organization: organization.into(), projects })
    }
}

/// Without the password.
impl fmt::Debug for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("User")
            .field("username", &self.username)
            .field("organization", &self.organization)
            .field("projects", &self.projects)
            .finish_non_exhaustive()
    }
}

/// What a sandbox is started with. `Options::default()` is the sandbox that `gcauth-sandbox` without arguments gives.
#[derive(Clone, Debug)]
pub struct Options {
    /// The port of plain HTTP; 0 asks the kernel for a free one.
    pub http_port: u16,
    /// The port of HTTPS; 0 asks the kernel for a free one.
    pub https_port: u16,
    /// Where certificates and config files are written. `None` makes a directory below the system's temporary one,
    /// and removes it when the sandbox is dropped.
    pub dir: Option<PathBuf>,
    /// How access tokens are signed.
    pub algorithm: Algorithm,
    /// How long an access token is good for, in seconds. With a whole number `iat` and `exp` are whole as well,
    /// otherwise both are fractions.
    pub token_life_s: f64,
    /// For how long a spent refresh token still gets the answer that it got before. `None`: not at all.
    pub grace: Option<Duration>,
    /// `max-age` of the JWKS; `None` leaves `Cache-Control` out.
    pub jwks_max_age_s: Option<u32>,
    /// Who can log in.
    pub users: Vec<User>,
    /// HTTPS listeners with something wrong, opened at the start. More can be had from
    /// [`Sandbox::bad_tls_url`](crate::Sandbox::bad_tls_url).
    pub bad_tls: Vec<BadTls>,
    /// Keeps what clients sent as it was, secrets included, for [`Sandbox::requests`](crate::Sandbox::requests).
    pub record_bodies: bool,
    /// How many requests are kept for [`Sandbox::requests`](crate::Sandbox::requests).
    pub record_limit: usize,
    /// Names the path for logouts in the config files.
    pub logout: bool,
    /// Writes a line per request to standard error: listener, method, path, status, fault. Never a secret.
    pub log: bool,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            http_port: 0,
            https_port: 0,
            dir: None,
            algorithm: Algorithm::default(),
            token_life_s: 3600.0,
            grace: None,
            jwks_max_age_s: Some(300),
            users: vec![User::demo()],
            bad_tls: Vec::new(),
            record_bodies: false,
            record_limit: 1000,
            logout: false,
            log: false,
        }
    }
}
