//! The configuration: one JSON object, every key optional. What is known of the platform stands here as defaults.
#![forbid(unsafe_code)]

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Map, Value};
#[cfg(feature = "redis")]
use zeroize::Zeroizing;

use crate::error::{Error, Result, Status};
use crate::ffi::host;
use crate::redact::clean;
#[cfg(feature = "redis")]
use crate::secret::Secret;
use crate::store::LockChoice;
#[cfg(feature = "redis")]
use crate::store::RedisUrl;
use crate::transport::{Endpoint, NamedFile, ProxySetting, Settings, Trust};
use crate::user_session::UserSession;

#[cfg(feature = "redis")]
mod password;
mod reading;
mod section;

use reading::{parse, read_file};
use section::Section;

/// How much of an environment's name is shown, and of all of them.
const MAX_ENV: usize = 30;
const MAX_ENVS: usize = 160;
/// How much of a path is shown.
const MAX_PATH: usize = 200;

/// What the environment of the process says, read once.
#[derive(Clone, Default)]
pub struct Surroundings {
    /// `GCAUTH_CONFIG`: the config file to use where the caller gives none.
    pub config_file: Option<PathBuf>,
    /// `SSL_CERT_FILE`: trust roots in place of the system's.
    pub ssl_cert_file: Option<PathBuf>,
    /// `SSL_CERT_DIR`: likewise, directories with a colon between them.
    pub ssl_cert_dir: Option<PathBuf>,
    /// `HTTPS_PROXY`, `HTTP_PROXY`, `NO_PROXY`.
    pub(crate) proxy: ProxySetting,
    #[cfg(feature = "redis")]
    /// `GCAUTH_STORE_PASSWORD`: the password of the Redis, where the config has none.
    pub(crate) store_password: Option<Secret>,
    /// `XDG_STATE_HOME`, `HOME` and `GCAUTH_SESSION`: where the store `user` lies.
    pub user_session: UserSession,
}

impl Surroundings {
    /// Reads the environment variables. A program that has more rights than its caller (setuid, setgid, file
    /// capabilities) reads none: they are the caller's, who may not decide where its passwords go.
    pub fn from_env() -> Self {
        if host::is_secure() {
            return Self::default();
        }
        let path = |name| std::env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from);
        Surroundings {
            config_file: path("GCAUTH_CONFIG"),
            ssl_cert_file: path("SSL_CERT_FILE"),
            ssl_cert_dir: path("SSL_CERT_DIR"),
            proxy: ProxySetting::from_env(),
            #[cfg(feature = "redis")]
            store_password: store_password(),
            user_session: UserSession::from_env(),
        }
    }
}

#[cfg(feature = "redis")]
/// The password of the store in the environment, if there is one that memory can be had for.
fn store_password() -> Option<Secret> {
    let password = Zeroizing::new(std::env::var("GCAUTH_STORE_PASSWORD").ok().filter(|text| !text.is_empty())?);
    Secret::new(&password).ok()
}

impl fmt::Debug for Surroundings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Surroundings").field("config_file", &self.config_file).finish_non_exhaustive()
    }
}

/// Everything that the config says, with defaults for what it does not say.
#[derive(Clone)]
pub struct Config {
    pub(crate) env: String,
    pub(crate) environments: BTreeMap<String, Endpoint>,
    pub(crate) login: LoginWire,
    pub(crate) refresh: RefreshWire,
    pub(crate) logout: Option<LogoutWire>,
    pub(crate) response: ResponseWire,
    pub(crate) project_id_claims: Vec<String>,
    pub(crate) renew_before: Duration,
    /// Whether the server ends the access token before when it gives a new one.
    pub(crate) revokes_old_tokens: bool,
    pub(crate) clock_leeway: Duration,
    pub(crate) timeout: Duration,
    pub(crate) retries: u32,
    pub(crate) connection: Settings,
    /// The CAs that must have issued a Redis's certificate.
    #[cfg(feature = "redis")]
    pub(crate) redis_trust: Trust,
    pub(crate) public_key: Option<String>,
    pub(crate) jwks_url: Option<Endpoint>,
    pub(crate) store: StoreChoice,
    lock: LockChoice,
    names_store: bool,
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config").field("env", &self.env).finish_non_exhaustive()
    }
}

/// The login request on the wire.
#[derive(Clone, Debug)]
pub(crate) struct LoginWire {
    pub(crate) path: String,
    pub(crate) username: String,
    pub(crate) password: String,
    pub(crate) organization_id: String,
    pub(crate) project_id: String,
}

/// The refresh request on the wire.
#[derive(Clone, Debug)]
pub(crate) struct RefreshWire {
    pub(crate) path: String,
    pub(crate) token: String,
    pub(crate) refresh_token: String,
    pub(crate) project_id: String,
}

/// The logout request on the wire.
#[derive(Clone, Debug)]
pub(crate) struct LogoutWire {
    pub(crate) path: String,
    pub(crate) token: String,
    pub(crate) refresh_token: String,
}

/// Where the parts stand in an answer: dotted paths.
#[derive(Clone, Debug)]
pub(crate) struct ResponseWire {
    pub(crate) token: String,
    pub(crate) refresh_token: String,
    pub(crate) token_type: Option<String>,
}

/// Where the session is kept.
#[derive(Clone, Debug)]
pub(crate) enum StoreChoice {
    /// In this process.
    Memory,
    /// In files beside this path.
    File(PathBuf, LockChoice),
    /// In files at this path, whose directory is made when it is needed.
    User(PathBuf, LockChoice),
    /// In Redis.
    #[cfg(feature = "redis")]
    Redis(RedisUrl),
}

impl Config {
    /// Reads a config. `None` means the file that the surroundings name, or else the defaults.
    pub fn load(json: Option<&str>, surroundings: &Surroundings) -> Result<Self> {
        match (json, &surroundings.config_file) {
            (Some(json), _) => Self::from_value(&parse(json, false)?, surroundings),
            (None, Some(path)) => Self::from_file(path, ", named by GCAUTH_CONFIG,", surroundings),
            (None, None) => Self::from_value(&Value::Object(Map::new()), surroundings),
        }
    }

    /// Reads the config in the file `path`. Messages go on with `named_by` after its name.
    pub fn from_file(path: &Path, named_by: &str, surroundings: &Surroundings) -> Result<Self> {
        let text = read_file(path, named_by)?;
        let config = parse(&text, true).and_then(|value| Self::from_value(&value, surroundings));
        let place = || format!("{}{}", clean_path(path), named_by.trim_end_matches(','));
        config.map_err(|error| error.in_context(&place()))
    }

    /// The same, with another limit for the time that a call takes.
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout.clamp(Duration::from_millis(1), Duration::from_millis(section::MAX_NUMBER));
        self.connection.connect_timeout = self.connection.connect_timeout.min(self.timeout);
        self
    }

    /// The names of the environments that the config knows.
    pub fn environments(&self) -> impl Iterator<Item = &str> {
        self.environments.keys().map(String::as_str)
    }

    fn from_value(value: &Value, surroundings: &Surroundings) -> Result<Self> {
        let top = Section::top(value)?;
        top.check_keys()?;
        let timeout = top.millis("timeout_ms", 30_000)?;
        let connection = connection(&top, surroundings, timeout)?;
        Ok(Config {
            env: top.text("env", "prod")?,
            environments: environments(&top)?,
            login: login(&top)?,
            refresh: refresh(&top)?,
            logout: logout(&top)?,
            response: response(&top)?,
            project_id_claims: project_id_claims(&top)?,
            renew_before: Duration::from_secs(top.number("renew_before_s", 900, 0)?),
            revokes_old_tokens: top.boolean("revokes_old_tokens", false)?,
            clock_leeway: Duration::from_secs(top.number("clock_leeway_s", 30, 0)?),
            timeout,
            retries: u32::try_from(top.number("retries", 3, 0)?).unwrap_or(u32::MAX),
            #[cfg(feature = "redis")]
            redis_trust: connection.trust.with_ca(named_file(&top, "redis_ca_file")?),
            connection,
            public_key: top.optional_text("public_key")?.map(str::to_owned),
            jwks_url: match top.optional_text("jwks_url")? {
                Some(url) => Some(Endpoint::parse_with_query(url).map_err(|why| top.wrong("jwks_url", why))?),
                None => None,
            },
            lock: lock(&top)?,
            store: store(&top, surroundings)?,
            names_store: top.get("store").is_some(),
        })
    }

    /// Whether the config says where the session is kept.
    pub fn names_store(&self) -> bool {
        self.names_store
    }

    /// Whether other processes can find the session.
    pub fn is_shared(&self) -> bool {
        !matches!(self.store, StoreChoice::Memory)
    }

    /// The same, with the session kept in the store `user` unless the config says otherwise.
    pub fn or_user_store(mut self, user_session: &UserSession) -> Result<Self> {
        if !self.names_store {
            self.store = StoreChoice::User(user_session.store()?, self.lock);
        }
        Ok(self)
    }

    /// The environment to use: the one asked for, or the config's own.
    pub(crate) fn environment(&self, asked: Option<&str>) -> Result<(&str, &Endpoint)> {
        let name = asked.unwrap_or(&self.env);
        match self.environments.get_key_value(name) {
            Some((name, host)) => Ok((name, host)),
            None => {
                let known: Vec<&str> = self.environments.keys().map(String::as_str).collect();
                let known = clean(&known.join(", "), &[], MAX_ENVS);
                // A URL with a password, or a token, may stand here by mistake.
                let is_name = name.chars().count() <= MAX_ENV && !name.contains([':', '/', '@', '?', '=']);
                let shown = match clean(name, &[], MAX_ENV) {
                    name if is_name => format!("\"{name}\""),
                    _ => "(what was given is not the name of one)".to_owned(),
                };
                Err(Error::new(
                    Status::Config,
                    format!(
                        "unknown env {shown}; the config knows {known}: take one of them, or add the new one to \
                         \"environments\", with its \"host\""
                    ),
                ))
            }
        }
    }
}

/// A path for a message.
fn clean_path(path: &Path) -> String {
    clean(&path.to_string_lossy(), &[], MAX_PATH)
}

fn environments(top: &Section) -> Result<BTreeMap<String, Endpoint>> {
    let mut known = BTreeMap::new();
    // "prod" is inferred from the hosts in the public documentation; "dev" was seen in a public client.
    let built_in =
        [("prod", "https://auth-api.genomcore.net/api/v1"), ("dev", "https://auth-apidev.genomcore.net/api/v1")];
    for (name, host) in built_in {
        if let Ok(endpoint) = Endpoint::parse(host) {
            known.insert(name.to_owned(), endpoint);
        }
    }
    let section = top.section("environments")?;
    for name in section.keys() {
        let environment = section.section(name)?;
        environment.check_keys()?;
        let host = environment.optional_text("host")?.ok_or_else(|| environment.wrong("host", "is missing"))?;
        let endpoint = Endpoint::parse(host).map_err(|why| environment.wrong("host", why))?;
        known.insert(name.clone(), endpoint);
    }
    Ok(known)
}

fn login(top: &Section) -> Result<LoginWire> {
    let login = top.section("login")?;
    login.check_keys()?;
    let fields = login.section("fields")?;
    fields.check_keys()?;
    let wire = LoginWire {
        path: login.path("path", "frontdesk/login")?,
        username: fields.text("username", "username")?,
        password: fields.text("password", "password")?,
        organization_id: fields.text("organization_id", "organization")?,
        project_id: fields.text("project_id", "project")?,
    };
    fields.distinct(&[&wire.username, &wire.password, &wire.organization_id, &wire.project_id])?;
    Ok(wire)
}

fn refresh(top: &Section) -> Result<RefreshWire> {
    let refresh = top.section("refresh")?;
    refresh.check_keys()?;
    let fields = refresh.section("fields")?;
    fields.check_keys()?;
    let wire = RefreshWire {
        path: refresh.path("path", "auth/refresh-token")?,
        token: fields.text("token", "token")?,
        refresh_token: fields.text("refresh_token", "refreshToken")?,
        project_id: fields.text("project_id", "project")?,
    };
    fields.distinct(&[&wire.token, &wire.refresh_token, &wire.project_id])?;
    Ok(wire)
}

fn logout(top: &Section) -> Result<Option<LogoutWire>> {
    let logout = top.section("logout")?;
    logout.check_keys()?;
    let fields = logout.section("fields")?;
    fields.check_keys()?;
    let wire = LogoutWire {
        path: logout.path("path", "")?,
        token: fields.text("token", "token")?,
        refresh_token: fields.text("refresh_token", "refreshToken")?,
    };
    fields.distinct(&[&wire.token, &wire.refresh_token])?;
    match wire.path.is_empty() {
        false => Ok(Some(wire)),
        true if logout.get("fields").is_some() => Err(logout.wrong("path", "is missing")),
        true => Ok(None),
    }
}

fn response(top: &Section) -> Result<ResponseWire> {
    let response = top.section("response")?;
    response.check_keys()?;
    Ok(ResponseWire {
        token: response.text("token", "token")?,
        refresh_token: response.text("refresh_token", "refreshToken")?,
        token_type: response.optional_text("token_type")?.map(str::to_owned),
    })
}

fn project_id_claims(top: &Section) -> Result<Vec<String>> {
    let claims = top.section("claims")?;
    claims.check_keys()?;
    let wrong = || claims.wrong("project_id", "must be a list of claim names: [\"…\"]");
    match claims.get("project_id") {
        None => Ok(["project_id", "projectId", "project.id", "project"].map(str::to_owned).into()),
        Some(Value::Array(paths)) => paths
            .iter()
            .map(|path| match path.as_str() {
                Some(path) if !path.is_empty() => Ok(path.to_owned()),
                _ => Err(wrong()),
            })
            .collect(),
        Some(_) => Err(wrong()),
    }
}

fn connection(top: &Section, surroundings: &Surroundings, timeout: Duration) -> Result<Settings> {
    Ok(Settings {
        connect_timeout: top.millis("connect_timeout_ms", 10_000)?.min(timeout),
        trust: trust(top, surroundings)?,
        proxy: match top.optional_text("proxy")? {
            Some(url) => ProxySetting::explicit(url).map_err(|why| top.wrong("proxy", why))?,
            None => surroundings.proxy.clone(),
        },
        user_agent: user_agent(top)?,
        allow_http: top.boolean("allow_http", false)?,
    })
}

fn trust(top: &Section, surroundings: &Surroundings) -> Result<Trust> {
    let trust = Trust {
        ca_file: named_file(top, "ca_file")?,
        ca_extra_file: named_file(top, "ca_extra_file")?,
        client_cert_file: named_file(top, "client_cert_file")?,
        client_key_file: named_file(top, "client_key_file")?,
        ssl_cert_file: surroundings.ssl_cert_file.clone(),
        ssl_cert_dirs: surroundings.ssl_cert_dir.iter().flat_map(std::env::split_paths).collect(),
    };
    if trust.client_cert_file.is_some() != trust.client_key_file.is_some() {
        return Err(top.wrong("client_cert_file", "and \"client_key_file\" go together"));
    }
    Ok(trust)
}

fn named_file(top: &Section, key: &'static str) -> Result<Option<NamedFile>> {
    Ok(top.optional_text(key)?.map(|path| NamedFile { key, path: PathBuf::from(path) }))
}

fn user_agent(top: &Section) -> Result<String> {
    let agent = top.text("user_agent", "gcauth/VERSION")?.replace("VERSION", env!("CARGO_PKG_VERSION"));
    if agent.bytes().all(|b| (b' '..=b'~').contains(&b)) {
        Ok(agent)
    } else {
        Err(top.wrong("user_agent", "may contain printable ASCII only"))
    }
}

fn lock(top: &Section) -> Result<LockChoice> {
    match top.text("store_lock", "auto")?.as_str() {
        "auto" => Ok(LockChoice::Auto),
        "flock" => Ok(LockChoice::Flock),
        "lease" => Ok(LockChoice::Lease),
        _ => Err(top.wrong("store_lock", "must be \"auto\", \"flock\" or \"lease\"")),
    }
}

fn store(top: &Section, surroundings: &Surroundings) -> Result<StoreChoice> {
    let lock = lock(top)?;
    let store = match top.get("store") {
        // A variable that was not set in what wrote the config: nobody would share anything, and nobody notice.
        Some(Value::String(text)) if text.is_empty() => String::new(),
        _ => top.text("store", "memory")?,
    };
    if top.get("store_password_file").is_some() && !store.starts_with("redis") {
        return Err(top.wrong("store_password_file", "is for redis:// and rediss:// only; leave it out"));
    }
    match store.split_once(':') {
        None if store == "memory" => Ok(StoreChoice::Memory),
        None if store == "user" => Ok(StoreChoice::User(surroundings.user_session.store()?, lock)),
        Some(("file", path)) if !path.is_empty() => Ok(StoreChoice::File(PathBuf::from(path), lock)),
        #[cfg(feature = "redis")]
        Some(("redis" | "rediss", _)) => {
            let url = RedisUrl::parse(&store).map_err(|why| top.wrong("store", why))?;
            password::with_password(url, top, surroundings).map(StoreChoice::Redis)
        }
        #[cfg(not(feature = "redis"))]
        Some(("redis" | "rediss", _)) => Err(top.wrong("store", "names Redis, which this build leaves out")),
        _ if store.starts_with(['/', '.', '~']) => Err(top.wrong("store", "must begin with file: where it is a path")),
        _ => Err(top.wrong("store", "must be \"memory\", \"user\", \"file:PATH\" or a redis:// or rediss:// URL")),
    }
}
