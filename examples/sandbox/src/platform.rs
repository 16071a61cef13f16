//! The platform's rules: who may log in, what a session is, how refresh tokens rotate.

use std::collections::{HashMap, HashSet};
use std::io;
use std::time::Duration;

use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::faults::TokenFault;
use crate::options::{Project, User};
use crate::tokens::{Claims, KeyRing, random_text};

/// What a login and a refresh give, as it goes over the wire.
#[derive(Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Pair {
    pub(crate) token: String,
    pub(crate) refresh_token: String,
}

/// Why something is refused.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) code: u16,
    pub(crate) message: String,
}

impl Refusal {
    fn new(code: u16, message: impl Into<String>) -> Self {
        Refusal { code, message: message.into() }
    }
}

impl From<io::Error> for Refusal {
    fn from(error: io::Error) -> Self {
        Refusal::new(500, error.to_string())
    }
}

/// How a refresh was granted.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Granted {
    Fresh,
    /// Once more, for a token spent a short while ago.
    Grace,
}

/// Why a refresh was refused.
#[derive(Debug)]
pub(crate) enum NotRefreshed {
    Refused(Refusal),
    /// The token had been spent before, and its session is over now.
    Reuse(Refusal),
}

impl<E: Into<Refusal>> From<E> for NotRefreshed {
    fn from(refusal: E) -> Self {
        NotRefreshed::Refused(refusal.into())
    }
}

/// What making a token needs.
pub(crate) struct Mint<'a> {
    pub(crate) keys: &'a KeyRing,
    pub(crate) now: f64,
    pub(crate) life_s: f64,
    pub(crate) faults: Vec<&'a TokenFault>,
}

struct Session {
    user: User,
    ended: bool,
}

struct RefreshToken {
    session: String,
    spent: Option<Spent>,
}

struct Spent {
    at: f64,
    project: Option<String>,
    answer: Pair,
}

pub(crate) struct Platform {
    users: Vec<User>,
    sessions: HashMap<String, Session>,
    refresh_tokens: HashMap<String, RefreshToken>,
    /// The `jti` of every access token that has not been revoked.
    good_tokens: HashSet<String>,
}

impl Platform {
    pub(crate) fn new(users: Vec<User>) -> Self {
        Platform { users, sessions: HashMap::new(), refresh_tokens: HashMap::new(), good_tokens: HashSet::new() }
    }

    pub(crate) fn login(&mut self, body: &[u8], mint: &Mint<'_>) -> Result<Pair, Refusal> {
        let body = object(body)?;
        let username = required(&body, "username")?;
        let password = required(&body, "password")?;
        let organization = required(&body, "organization")?;
        let slug = optional(&body, "project")?;
        let user = self
            .users
            .iter()
            .find(|user| user.username == username)
            .ok_or_else(|| Refusal::new(404, format!("user {username} not found")))?;
        if user.password != password {
            return Err(Refusal::new(401, "wrong password"));
        }
        if user.organization != organization {
            return Err(Refusal::new(403, format!("{username} is no member of organization {organization}")));
        }
        let user = user.clone();
        let project = project(&user, slug)?;
        let session = random_text(12);
        let token = self.token(&session, &user, project, mint)?;
        let refresh_token = self.refresh_token(&session);
        self.sessions.insert(session, Session { user, ended: false });
        Ok(Pair { token, refresh_token })
    }

    /// The project is that of the request: a refresh without one gives a token without one.
    pub(crate) fn refresh(
        &mut self,
        body: &[u8],
        grace: Option<Duration>,
        mint: &Mint<'_>,
    ) -> Result<(Pair, Granted), NotRefreshed> {
        let body = object(body)?;
        // Whatever it is, expired or not; it may be missing too.
        optional(&body, "token")?;
        let presented = required(&body, "refreshToken")?;
        let slug = optional(&body, "project")?;

        let known = self.refresh_tokens.get(presented).ok_or_else(|| Refusal::new(401, "unknown refresh token"))?;
        let id = known.session.clone();
        let session = self.sessions.get_mut(&id).ok_or_else(|| Refusal::new(401, "unknown session"))?;
        if session.ended {
            return Err(Refusal::new(401, "the session has ended").into());
        }
        if let Some(spent) = &known.spent {
            if grace.is_none_or(|grace| mint.now - spent.at > grace.as_secs_f64()) {
                session.ended = true;
                let message = "the refresh token was used before; the session has been ended";
                return Err(NotRefreshed::Reuse(Refusal::new(401, message)));
            }
            let mut answer = spent.answer.clone();
            if spent.project.as_deref() != slug {
                let user = session.user.clone();
                answer.token = self.token(&id, &user, project(&user, slug)?, mint)?;
            }
            return Ok((answer, Granted::Grace));
        }

        let user = session.user.clone();
        // Refused without spending the token.
        let project = project(&user, slug)?;
        let token = self.token(&id, &user, project, mint)?;
        let answer = Pair { token, refresh_token: self.refresh_token(&id) };
        let spent = Spent { at: mint.now, project: slug.map(Into::into), answer: answer.clone() };
        self.refresh_tokens.insert(presented.into(), RefreshToken { session: id, spent: Some(spent) });
        Ok((answer, Granted::Fresh))
    }

    /// Ends the session of the refresh token, spent or not, or else of the access token.
    pub(crate) fn logout(&mut self, body: &[u8], keys: &KeyRing) -> Result<(), Refusal> {
        let body = object(body)?;
        let unknown = || Refusal::new(401, "unknown token");
        let id = match (optional(&body, "refreshToken")?, optional(&body, "token")?) {
            (Some(refresh_token), _) => self.refresh_tokens.get(refresh_token).ok_or_else(unknown)?.session.clone(),
            (None, Some(token)) => {
                let claims = keys.verify(token).ok_or_else(unknown)?;
                claims.get("sid").and_then(Value::as_str).ok_or_else(unknown)?.to_owned()
            }
            (None, None) => return Err(Refusal::new(400, "refreshToken and token are missing")),
        };
        self.sessions.get_mut(&id).ok_or_else(unknown)?.ended = true;
        Ok(())
    }

    /// Who the bearer of a token is.
    pub(crate) fn resource(&self, token: &str, keys: &KeyRing, now: f64) -> Result<Value, &'static str> {
        let claims = keys.verify(token).ok_or("not a token of this server, or of a key that is gone")?;
        let text = |name: &str| claims.get(name).and_then(Value::as_str).unwrap_or_default();
        if claims.get("exp").and_then(Value::as_f64).is_some_and(|exp| exp <= now) {
            return Err("the token has expired");
        }
        if self.sessions.get(text("sid")).is_none_or(|session| session.ended) {
            return Err("the session has ended");
        }
        if !self.good_tokens.contains(text("jti")) {
            return Err("the token has been revoked");
        }
        let shown = ["sub", "name", "email", "organization", "project", "project_id", "exp"];
        let shown = shown.into_iter().filter_map(|name| Some((name.to_owned(), claims.get(name)?.clone())));
        Ok(Value::Object(shown.collect()))
    }

    /// All access tokens made until now are refused at the resource; refresh tokens go on working.
    pub(crate) fn revoke(&mut self) {
        self.good_tokens.clear();
    }

    /// Nothing of any session is good any more.
    pub(crate) fn end_sessions(&mut self) {
        self.sessions.values_mut().for_each(|session| session.ended = true);
    }

    fn refresh_token(&mut self, session: &str) -> String {
        let text = random_text(32);
        self.refresh_tokens.insert(text.clone(), RefreshToken { session: session.into(), spent: None });
        text
    }

    fn token(
        &mut self,
        session: &str,
        user: &User,
        project: Option<&Project>,
        mint: &Mint<'_>,
    ) -> Result<String, Refusal> {
        let jti = random_text(12);
        let mut claims = Claims(vec![
            ("iss".into(), "gcauth-sandbox".into()),
            ("sub".into(), user.username.clone().into()),
            ("name".into(), capitalized(&user.username).into()),
            ("email".into(), format!("{}@{}.example", user.username, user.organization).into()),
            ("organization".into(), user.organization.clone().into()),
        ]);
        if let Some(project) = project {
            claims.set("project", project.slug.clone().into());
            claims.set("project_id", project.id.into());
        }
        claims.set("sid", session.into());
        claims.set("jti", jti.clone().into());
        set_times(&mut claims, mint.now, mint.life_s);
        let mut text = None;
        for fault in &mint.faults {
            match fault {
                TokenFault::NoExp => claims.remove("exp"),
                TokenFault::NoIat => claims.remove("iat"),
                TokenFault::Expired => set_times(&mut claims, mint.now - mint.life_s - 60.0, mint.life_s),
                TokenFault::ClockOff(seconds) => set_times(&mut claims, mint.now + seconds, mint.life_s),
                TokenFault::IatOff(seconds) => {
                    let exp = claims.0.iter().find(|(name, _)| name == "exp").map(|(_, value)| value.clone());
                    set_times(&mut claims, mint.now + seconds, mint.life_s);
                    match exp {
                        Some(exp) => claims.set("exp", exp),
                        None => claims.remove("exp"),
                    }
                }
                TokenFault::Claims(changes) => {
                    for (name, value) in changes {
                        match value {
                            Value::Null => claims.remove(name),
                            value => claims.set(name, value.clone()),
                        }
                    }
                }
                TokenFault::NotAJwt => text = Some(format!("opaque-{}", random_text(24))),
                TokenFault::Text(ordered) => text = Some(ordered.clone()),
                TokenFault::ControlCharacters => {}
            }
        }
        self.good_tokens.insert(jti);
        let mut token = match text {
            Some(text) => text,
            None => mint.keys.sign(&claims)?,
        };
        if mint.faults.iter().any(|fault| matches!(fault, TokenFault::ControlCharacters)) {
            let middle = (0..=token.len() / 2).rev().find(|index| token.is_char_boundary(*index)).unwrap_or(0);
            token.insert_str(middle, "\r\n");
        }
        Ok(token)
    }
}

/// Whole numbers with a whole life, fractions otherwise.
fn set_times(claims: &mut Claims, now: f64, life_s: f64) {
    if life_s.fract() == 0.0 {
        let now = now.floor() as i64;
        claims.set("iat", now.into());
        claims.set("exp", now.saturating_add(life_s as i64).into());
    } else {
        let milliseconds = |seconds: f64| (seconds * 1000.0).round() / 1000.0;
        claims.set("iat", json!(milliseconds(now)));
        claims.set("exp", json!(milliseconds(now + life_s)));
    }
}

fn object(body: &[u8]) -> Result<Map<String, Value>, Refusal> {
    match serde_json::from_slice(body) {
        Ok(Value::Object(members)) => Ok(members),
        _ => Err(Refusal::new(400, "the body is not a JSON object")),
    }
}

fn required<'a>(body: &'a Map<String, Value>, name: &str) -> Result<&'a str, Refusal> {
    match body.get(name).and_then(Value::as_str) {
        Some(text) if !text.is_empty() => Ok(text),
        _ => Err(Refusal::new(400, format!("{name} is missing, empty or not a string"))),
    }
}

fn optional<'a>(body: &'a Map<String, Value>, name: &str) -> Result<Option<&'a str>, Refusal> {
    match body.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(Refusal::new(400, format!("{name} is not a string"))),
    }
}

fn project<'a>(user: &'a User, slug: Option<&str>) -> Result<Option<&'a Project>, Refusal> {
    let Some(slug) = slug else { return Ok(None) };
    match user.projects.iter().find(|project| project.slug == slug) {
        Some(project) => Ok(Some(project)),
        None => Err(Refusal::new(403, format!("no project {slug} for {}", user.username))),
    }
}

fn capitalized(name: &str) -> String {
    let mut letters = name.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}
