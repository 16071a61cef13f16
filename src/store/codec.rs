//! Records as text: versioned JSON, the same in every store.
#![forbid(unsafe_code)]

use crate::author::{Author, Place};
use crate::clock::Now;
use crate::error::{Error, Result, Status};
use crate::record::{Intent, LastFailure, Notes, Record, Refusal, Tokens, UNKNOWN_MONO_MS, Version};
use crate::redact::clean;
use crate::schedule::Origin;
use crate::secret::SecretBytes;
use crate::text::{is_quoted, is_visible_ascii};
use crate::transport::is_same_base;
use crate::wiped_json::{Member, WipedJson, write_object};
use crate::wrong_clocks::WrongClocks;

/// A larger number was written by a later version of this library, and is refused.
const FORMAT: u64 = 1;
/// How much is shown of an environment's name or host.
const MAX_SHOWN: usize = 80;

/// The members that tell of a process.
struct AuthorNames {
    host: &'static str,
    pid: &'static str,
    boot_id: &'static str,
    pid_namespace: &'static str,
    started: &'static str,
}

/// Who got the tokens.
const BY: AuthorNames = AuthorNames {
    host: "by_host",
    pid: "by_pid",
    boot_id: "by_boot_id",
    pid_namespace: "by_pid_namespace",
    started: "by_started",
};

/// Who is about to spend the refresh token.
const INTENT_BY: AuthorNames = AuthorNames {
    host: "intent_by_host",
    pid: "intent_by_pid",
    boot_id: "intent_by_boot_id",
    pid_namespace: "intent_by_pid_namespace",
    started: "intent_by_started",
};

/// Writes and reads the records of one environment.
#[derive(Clone, Debug)]
pub(crate) struct Codec {
    pub(crate) env: String,
    pub(crate) host: String,
}

impl Codec {
    /// The record with its notes, as one JSON object.
    pub(crate) fn write(&self, record: &Record) -> Result<SecretBytes> {
        let tokens = &record.tokens;
        let session = format!("{:016x}", record.version.session);
        let origin = match record.origin {
            Origin::Given => "given",
            Origin::Login => "login",
            Origin::Renewal => "renewal",
        };
        let mut members = vec![
            ("format", Member::Unsigned(FORMAT)),
            ("env", Member::Text(&self.env)),
            ("host", Member::Text(&self.host)),
            ("session", Member::Text(&session)),
            ("generation", Member::Unsigned(record.version.generation)),
            ("token_type", Member::Text(&tokens.token_type)),
            ("origin", Member::Text(origin)),
            ("received_ms", Member::Signed(record.received.wall_ms)),
        ];
        members.extend(author_members(&BY, &record.author));
        let clocks = record.clocks.to_text();
        members.extend((!clocks.is_empty()).then_some(("clocks", Member::Text(&clocks))));
        members.extend(tokens.token().map(|text| ("token", Member::Text(text))));
        members.extend(tokens.refresh_token().map(|text| ("refresh_token", Member::Text(text))));
        members.extend(tokens.scope.as_deref().map(|text| ("scope", Member::Text(text))));
        members.extend(notes_members(&record.notes));
        write_object(&members)
    }

    /// Notes alone, as one JSON object.
    pub(crate) fn write_notes(&self, notes: &Notes) -> Result<SecretBytes> {
        write_object(&notes_members(notes))
    }

    /// The record in `text`. One of another env or host is refused: a token is never sent to a host that it was not made
    /// for.
    pub(crate) fn read(&self, text: &[u8]) -> Result<Record> {
        let json = WipedJson::parse(text).filter(WipedJson::is_object).ok_or_else(damaged)?;
        match unsigned(&json, "format") {
            Some(FORMAT) => {}
            Some(later) if later > FORMAT => {
                return Err(Error::new(
                    Status::Store,
                    "the session store was written by a later version of libgcauth; update this one",
                ));
            }
            _ => return Err(damaged()),
        }
        let (env, host) = (json.text("env").ok_or_else(damaged)?, json.text("host").ok_or_else(damaged)?);
        if env != self.env || !is_same_base(host, &self.host) {
            let shown = |text| clean(text, &[], MAX_SHOWN);
            return Err(Error::new(
                Status::Config,
                format!(
                    "the session store holds a session of env \"{}\" at {}, and this one is of \"{}\" at {}; give each \
                     its own store",
                    shown(env),
                    shown(host),
                    shown(&self.env),
                    shown(&self.host)
                ),
            ));
        }
        let session = json.text("session").and_then(|hex| u64::from_str_radix(hex, 16).ok()).ok_or_else(damaged)?;
        let origin = match json.text("origin") {
            Some("given") => Origin::Given,
            Some("login") => Origin::Login,
            Some("renewal") => Origin::Renewal,
            _ => return Err(damaged()),
        };
        Ok(Record {
            version: Version { session, generation: unsigned(&json, "generation").ok_or_else(damaged)? },
            tokens: Tokens::new(
                token(&json, "token")?,
                token(&json, "refresh_token")?,
                token(&json, "token_type")?,
                json.text("scope"),
            )?,
            origin,
            received: Now { wall_ms: signed(&json, "received_ms").ok_or_else(damaged)?, mono_ms: UNKNOWN_MONO_MS },
            author: author(&json, &BY).ok_or_else(damaged)?,
            notes: notes(&json)?,
            clocks: json.text("clocks").map(WrongClocks::from_text).unwrap_or_default(),
        })
    }

    /// The notes in `text`.
    pub(crate) fn read_notes(&self, text: &[u8]) -> Result<Notes> {
        notes(&WipedJson::parse(text).filter(WipedJson::is_object).ok_or_else(damaged)?)
    }
}

fn notes_members(notes: &Notes) -> Vec<(&str, Member<'_>)> {
    let mut members = vec![("early_not_before_ms", Member::Signed(notes.early_not_before_ms))];
    if let Some(intent) = &notes.intent {
        members.extend([
            ("intent_spends", Member::Text(&intent.spends)),
            ("intent_begun_ms", Member::Signed(intent.begun_ms)),
            ("intent_deadline_ms", Member::Signed(intent.deadline_ms)),
        ]);
        members.extend(author_members(&INTENT_BY, &intent.author));
    }
    if let Some(refusal) = &notes.refusal {
        members.extend([
            ("refused_with", Member::Unsigned(refusal.http_status.into())),
            ("refused_ms", Member::Signed(refusal.at_ms)),
            ("refused_count", Member::Unsigned(refusal.count.into())),
            ("refused_for_good", Member::Unsigned(refusal.is_final.into())),
        ]);
    }
    if let Some(failure) = &notes.failure {
        members.extend([
            ("failed_with", Member::Signed(failure.status.into())),
            ("failed_message", Member::Text(&failure.message)),
            ("failed_ms", Member::Signed(failure.at_ms)),
        ]);
    }
    members
}

fn notes(json: &WipedJson) -> Result<Notes> {
    let intent = match json.text("intent_spends") {
        None => None,
        Some(spends) => Some(Intent {
            spends: spends.to_owned(),
            begun_ms: signed(json, "intent_begun_ms").ok_or_else(damaged)?,
            deadline_ms: signed(json, "intent_deadline_ms").ok_or_else(damaged)?,
            author: author(json, &INTENT_BY).ok_or_else(damaged)?,
        }),
    };
    let refusal = match unsigned(json, "refused_with") {
        None => None,
        Some(status) => Some(Refusal {
            http_status: u16::try_from(status).map_err(|_| damaged())?,
            at_ms: signed(json, "refused_ms").ok_or_else(damaged)?,
            // Absent from what older versions wrote.
            count: unsigned(json, "refused_count").map_or(1, |count| u32::try_from(count).unwrap_or(u32::MAX)),
            is_final: unsigned(json, "refused_for_good") == Some(1),
        }),
    };
    let failure = match signed(json, "failed_with") {
        None => None,
        Some(status) => Some(LastFailure {
            status: i32::try_from(status).map_err(|_| damaged())?,
            message: json.text("failed_message").ok_or_else(damaged)?.to_owned(),
            at_ms: signed(json, "failed_ms").ok_or_else(damaged)?,
        }),
    };
    let early_not_before_ms = signed(json, "early_not_before_ms").ok_or_else(damaged)?;
    Ok(Notes { early_not_before_ms, intent, refusal, failure })
}

/// A token as it may be sent: what somebody put into the store must not put anything into a request.
fn token<'a>(json: &'a WipedJson, name: &str) -> Result<Option<&'a str>> {
    match (json.lookup(name), json.text(name)) {
        (None, _) => Ok(None),
        (_, Some(text)) if !text.is_empty() && is_visible_ascii(text) && !is_quoted(text) => Ok(Some(text)),
        _ => Err(damaged()),
    }
}

fn author_members<'a>(names: &AuthorNames, author: &'a Author) -> Vec<(&'static str, Member<'a>)> {
    let mut members = vec![(names.host, Member::Text(&author.host)), (names.pid, Member::Unsigned(author.pid.into()))];
    if let Some(place) = &author.place {
        members.extend([
            (names.boot_id, Member::Text(&place.boot_id)),
            (names.pid_namespace, Member::Text(&place.pid_namespace)),
            (names.started, Member::Unsigned(place.started)),
        ]);
    }
    members
}

fn author(json: &WipedJson, names: &AuthorNames) -> Option<Author> {
    // Older versions did not tell the place.
    let place = || {
        Some(Place {
            boot_id: json.text(names.boot_id)?.to_owned(),
            pid_namespace: json.text(names.pid_namespace)?.to_owned(),
            started: unsigned(json, names.started)?,
        })
    };
    Some(Author {
        host: json.text(names.host)?.to_owned(),
        pid: u32::try_from(unsigned(json, names.pid)?).ok()?,
        place: place(),
    })
}

fn unsigned(json: &WipedJson, name: &str) -> Option<u64> {
    json.lookup(name).and_then(serde_json::Value::as_u64)
}

fn signed(json: &WipedJson, name: &str) -> Option<i64> {
    json.lookup(name).and_then(serde_json::Value::as_i64)
}

/// Not ours, or not whole.
pub(super) fn damaged() -> Error {
    Error::new(
        Status::Store,
        "the session store holds something that is no record of libgcauth; remove it, or name another, and log in again",
    )
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::store) fn codec() -> Codec {
        Codec { env: "sandbox".into(), host: "https://host/api".into() }
    }

    fn place() -> Place {
        Place { boot_id: "b0".into(), pid_namespace: "pid:[1]".into(), started: 9 }
    }

    /// The end of a call that has time.
    pub(in crate::store) fn later() -> std::time::Instant {
        std::time::Instant::now() + std::time::Duration::from_secs(60)
    }

    pub(in crate::store) fn record(session: u64, generation: u64) -> Record {
        Record {
            version: Version { session, generation },
            tokens: Tokens::new(Some("access"), Some("refresh"), None, Some("project")).unwrap(),
            origin: Origin::Renewal,
            received: Now { wall_ms: 999_000, mono_ms: UNKNOWN_MONO_MS },
            author: Author { host: "node".into(), pid: 7, place: Some(place()) },
            notes: Notes::default(),
            clocks: WrongClocks::default(),
        }
    }

    #[test]
    fn a_record_comes_back_as_it_was() {
        let intent = Intent {
            spends: "00ff".into(),
            begun_ms: 1,
            deadline_ms: 2,
            author: Author { host: "other".into(), pid: 8, place: Some(place()) },
        };
        let refusal = Refusal { http_status: 401, at_ms: 9, count: 3, is_final: true };
        let failure = LastFailure { status: 62, message: "who \"said\" what".into(), at_ms: 8 };
        let full =
            Notes { early_not_before_ms: 5, intent: Some(intent), refusal: Some(refusal), failure: Some(failure) };
        for notes in [Notes::default(), full] {
            let clocks = WrongClocks::default().with("machine", -7);
            let before = Record { notes: notes.clone(), clocks, ..record(u64::MAX, 3) };
            let after = codec().read(codec().write(&before).unwrap().expose()).unwrap();
            assert_eq!(
                (after.version, after.received, after.author, &after.notes, after.clocks),
                (before.version, before.received, before.author, &notes, before.clocks)
            );
            assert_eq!(after.tokens.token(), Some("access"));
            assert_eq!(after.tokens.refresh_token(), Some("refresh"));
            assert_eq!(after.tokens.scope.as_deref(), Some("project"));
            let text = codec().write_notes(&notes).unwrap();
            assert_eq!(codec().read_notes(text.expose()).unwrap(), notes);
        }
    }

    /// What version 0.1.0 wrote first.
    #[test]
    fn a_record_of_an_older_version_is_read() {
        let old = r#"{"format":1,"env":"sandbox","host":"https://host/api","session":"0000000000000001",
            "generation":3,"token_type":"Bearer","origin":"renewal","received_ms":5,"by_host":"node","by_pid":7,
            "token":"access","refresh_token":"refresh","early_not_before_ms":4,"intent_spends":"00",
            "intent_begun_ms":1,"intent_deadline_ms":2,"intent_by_host":"other","intent_by_pid":8,
            "refused_with":401,"refused_ms":9}"#;
        let record = codec().read(old.as_bytes()).unwrap();
        assert_eq!(record.author, Author { host: "node".into(), pid: 7, place: None });
        let author = record.notes.intent.unwrap().author;
        assert!(author == Author { host: "other".into(), pid: 8, place: None } && author.is_running().is_none());
        assert_eq!(record.notes.refusal, Some(Refusal { http_status: 401, at_ms: 9, count: 1, is_final: false }));
    }

    #[test]
    fn what_is_no_record_is_refused() {
        let good = codec().write(&record(1, 1)).unwrap().as_str().to_owned();
        for (bad, status) in [
            (good.replace("\"format\":1", "\"format\":2"), Status::Store),
            (good.replace("\"format\":1", "\"format\":0"), Status::Store),
            (good.replace("sandbox", "prod"), Status::Config),
            (good.replace("//host", "//elsewhere"), Status::Config),
            (good.replace("\"generation\":1", "\"generation\":-1"), Status::Store),
            (good.replace("renewal", "theft"), Status::Store),
            (good[..good.len() / 2].to_owned(), Status::Store),
            (String::new(), Status::Store),
            ("[]".to_owned(), Status::Store),
        ] {
            assert_eq!(codec().read(bad.as_bytes()).unwrap_err().status(), status, "{bad}");
        }
        let error = codec().read(good.replace("sandbox", "prod").as_bytes()).unwrap_err();
        let words = "env \"prod\" at https://host/api, and this one is of \"sandbox\" at https://host/api";
        assert!(error.message().contains(words), "{error}");
    }

    #[test]
    fn a_token_that_could_break_a_header_is_damage() {
        let good = codec().write(&record(1, 1)).unwrap().as_str().to_owned();
        for token in ["\"access\"", "\"refresh\"", "\"Bearer\""] {
            for bad in [
                "\"\"",
                "\"a\\r\\nb\"",
                "\"a\\u0000\"",
                "\"a b\"",
                "\" \"",
                "\"a\\u0085b\"",
                "\"\u{feff}a\"",
                "\"\u{201c}a\u{201d}\"",
                "\"a\\u200bb\"",
                "\"\u{e9}\"",
                "7",
                "null",
            ] {
                let bad = good.replace(token, bad);
                assert_ne!(bad, good);
                assert_eq!(
                    codec().read(bad.as_bytes()).err().map(|error| error.status()),
                    Some(Status::Store),
                    "{bad}"
                );
            }
        }
    }

    #[test]
    fn a_record_needs_neither_token() {
        for (token, refresh_token) in [(None, None), (None, Some("refresh")), (Some("access"), None)] {
            let tokens = Tokens::new(token, refresh_token, None, None).unwrap();
            let text = codec().write(&Record { tokens, ..record(1, 1) }).unwrap();
            let tokens = codec().read(text.expose()).unwrap().tokens;
            assert_eq!((tokens.token(), tokens.refresh_token()), (token, refresh_token));
        }
    }
}
