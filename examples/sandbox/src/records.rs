//! What the server has seen: counters, and the last requests.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::Serialize;
use serde_json::Value;

use crate::faults::Target;
use crate::http::Head;
use crate::tokens::secret_mark;

/// Requests by path. The control endpoints are not counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct RequestCounters {
    /// `frontdesk/login`
    pub login: u64,
    /// `auth/refresh-token`
    pub refresh: u64,
    /// `auth/logout`
    pub logout: u64,
    /// `me`
    pub resource: u64,
    /// `.well-known/jwks.json`
    pub jwks: u64,
    /// Any other path.
    pub other: u64,
}

/// What has happened since the start or the last reset.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counters {
    /// Logins that were granted, whether their answer arrived or not.
    pub logins: u64,
    /// Refreshes that were granted with a token that had not been spent, whether their answer arrived or not.
    pub refreshes: u64,
    /// Refreshes with a spent token that got their old answer once more, within the grace period.
    pub graces: u64,
    /// Refreshes with a spent token that ended a session.
    pub reuses: u64,
    /// Logins that were refused: malformed, unknown user, wrong password, organization or project.
    pub logins_refused: u64,
    /// Refreshes that were refused; reuses as well.
    pub refreshes_refused: u64,
    /// Logouts that ended a session.
    pub logouts: u64,
    /// Requests for the resource that were granted.
    pub resource_ok: u64,
    /// Requests for the resource that were refused.
    pub resource_refused: u64,
    /// Faults that happened.
    pub faults: u64,
    /// Connections accepted.
    pub connections: u64,
    /// TLS handshakes that failed, or were given up by the client. The server hears of that a moment after the client.
    pub tls_failures: u64,
    /// Requests by path, granted or not.
    pub requests: RequestCounters,
}

/// One request as it arrived.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RequestRecord {
    /// Counts from 1 since the start or the last reset.
    pub number: u64,
    /// Whether it came over TLS.
    pub secure: bool,
    /// The method.
    pub method: String,
    /// The path, without a query.
    pub path: String,
    /// Names as they were written, in their order. The value of `Authorization` is shown as its scheme and a mark,
    /// unless bodies are recorded.
    pub headers: Vec<(String, String)>,
    /// The JSON that was sent, `null` if it was none. All strings but user name, organization and project are shown
    /// as marks ([`secret_mark`]), unless bodies are recorded.
    pub body: Value,
    /// The body's bytes as they were, if bodies are recorded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub raw_body: Option<String>,
    /// The status of the answer; `None` while there is none, or if it got lost.
    pub status: Option<u16>,
}

impl RequestRecord {
    /// The value of the first header of this name.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }
}

#[derive(Debug, Default)]
struct Seen {
    counters: Counters,
    numbered: u64,
    requests: VecDeque<RequestRecord>,
}

#[derive(Debug)]
pub(crate) struct Records {
    seen: Mutex<Seen>,
    limit: usize,
    with_secrets: bool,
}

impl Records {
    pub(crate) fn new(limit: usize, with_secrets: bool) -> Self {
        Records { seen: Mutex::default(), limit, with_secrets }
    }

    pub(crate) fn count(&self, change: impl FnOnce(&mut Counters)) {
        change(&mut self.lock().counters);
    }

    pub(crate) fn counters(&self) -> Counters {
        self.lock().counters
    }

    pub(crate) fn requests(&self) -> Vec<RequestRecord> {
        self.lock().requests.iter().cloned().collect()
    }

    pub(crate) fn reset(&self) {
        *self.lock() = Seen::default();
    }

    /// Counts a request and keeps it; gives its number.
    pub(crate) fn add(&self, target: Target, secure: bool, head: &Head) -> u64 {
        let mut seen = self.lock();
        let requests = &mut seen.counters.requests;
        match target {
            Target::Login => requests.login += 1,
            Target::Refresh => requests.refresh += 1,
            Target::Logout => requests.logout += 1,
            Target::Resource => requests.resource += 1,
            Target::Jwks => requests.jwks += 1,
            Target::Any | Target::Connection => requests.other += 1,
        }
        seen.numbered += 1;
        let number = seen.numbered;
        if seen.requests.len() >= self.limit {
            seen.requests.pop_front();
        }
        seen.requests.push_back(RequestRecord {
            number,
            secure,
            method: head.method.clone(),
            path: head.path.clone(),
            headers: head.headers.iter().map(|header| self.shown_header(header)).collect(),
            body: Value::Null,
            raw_body: None,
            status: None,
        });
        number
    }

    pub(crate) fn add_body(&self, number: u64, body: &[u8]) {
        let mut json: Value = serde_json::from_slice(body).unwrap_or_default();
        if !self.with_secrets {
            mask(&mut json);
        }
        let raw_body = self.with_secrets.then(|| String::from_utf8_lossy(body).into_owned());
        self.change(number, |record| {
            record.body = json;
            record.raw_body = raw_body;
        });
    }

    pub(crate) fn add_status(&self, number: u64, status: u16) {
        self.change(number, |record| record.status = Some(status));
    }

    fn change(&self, number: u64, change: impl FnOnce(&mut RequestRecord)) {
        // It may be gone, by a reset or by the limit.
        if let Some(record) = self.lock().requests.iter_mut().find(|record| record.number == number) {
            change(record);
        }
    }

    fn shown_header(&self, (name, value): &(String, String)) -> (String, String) {
        let secret = ["authorization", "proxy-authorization", "cookie"].contains(&name.to_ascii_lowercase().as_str());
        if !secret || self.with_secrets {
            return (name.clone(), value.clone());
        }
        let shown = match value.split_once(' ') {
            Some((scheme, secret)) => format!("{scheme} {}", secret_mark(secret)),
            None => secret_mark(value),
        };
        (name.clone(), shown)
    }

    fn lock(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether a member of a request is no secret. Names that nobody knows are taken for secrets.
pub(crate) fn is_public(member: &str) -> bool {
    ["username", "organization", "project"].contains(&member)
}

fn mask(value: &mut Value) {
    match value {
        Value::String(text) => *text = secret_mark(text),
        Value::Array(list) => list.iter_mut().for_each(mask),
        Value::Object(members) => {
            members.iter_mut().filter(|(name, _)| !is_public(name)).for_each(|(_, value)| mask(value));
        }
        _ => {}
    }
}
