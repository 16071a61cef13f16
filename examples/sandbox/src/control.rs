//! The control endpoints, below `/sandbox` on the plain HTTP listener. No fault applies to them, and nobody counts
//! them.

use std::io::{self, Write as _};
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::faults::Fault;
use crate::http::{Reader, Response};
use crate::server::Shared;
use crate::tls::BadTls;
use crate::transport::Transport;

/// How a request for an endpoint begins.
pub(crate) const REQUEST_LINES: [&str; 3] = ["GET /sandbox/", "POST /sandbox/", "DELETE /sandbox/"];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Offset {
    offset_s: f64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Seconds {
    seconds: f64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MaybeSeconds {
    seconds: Option<f64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Rotate {
    #[serde(default = "yes")]
    keep_old: bool,
}

fn yes() -> bool {
    true
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Kind {
    kind: BadTls,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMore {
    More(Vec<Value>),
    One(Value),
}

pub(crate) fn serve(shared: &Arc<Shared>, mut transport: Transport) -> io::Result<()> {
    let mut reader = Reader::new();
    let Some(head) = reader.head(&mut transport)? else {
        return Ok(());
    };
    let body = reader.body(&mut transport, &head)?;
    let endpoint = head.path.strip_prefix("/sandbox/").unwrap_or_default();
    let mut response = match answer(shared, &head.method, endpoint, &body) {
        Ok(Some(answer)) => Response::json(200, &answer),
        Ok(None) => Response::error(404, "no such endpoint"),
        Err(why) => Response::error(400, &why),
    };
    // For people at a terminal.
    response.body.push(b'\n');
    let (head, body) = response.to_bytes(&shared.clock.http_date());
    transport.write_all(&[head, body].concat())?;
    transport.close();
    Ok(())
}

fn answer(shared: &Arc<Shared>, method: &str, endpoint: &str, body: &[u8]) -> Result<Option<Value>, String> {
    let done = || Ok(Some(json!({})));
    match (method, endpoint) {
        ("GET", "counters") => {
            let mut counters = serde_json::to_value(shared.records.counters()).map_err(text)?;
            counters["held"] = shared.gate.held().into();
            Ok(Some(counters))
        }
        ("GET", "requests") => serde_json::to_value(shared.records.requests()).map(Some).map_err(text),
        ("GET", "faults") => serde_json::to_value(shared.faults.pending()).map(Some).map_err(text),
        ("GET", "held") => Ok(Some(json!({ "held": shared.gate.held() }))),
        ("DELETE", "faults") => {
            shared.faults.clear();
            done()
        }
        ("POST", "faults") => {
            let ordered = match parsed(body)? {
                OneOrMore::More(list) => list,
                OneOrMore::One(one) => vec![one],
            };
            // All or none.
            let faults: Vec<Fault> = ordered
                .into_iter()
                .map(|fault| serde_json::from_value(fault).map_err(text))
                .collect::<Result<_, _>>()?;
            faults.iter().try_for_each(Fault::check)?;
            let count = faults.len();
            faults.into_iter().for_each(|fault| shared.faults.order(fault));
            Ok(Some(json!({ "ordered": count })))
        }
        ("POST", "reset") => {
            shared.reset();
            done()
        }
        ("POST", "clock") => {
            let Offset { offset_s } = parsed(body)?;
            shared.clock.set_offset(offset_s);
            Ok(Some(json!({ "now": shared.clock.now() })))
        }
        ("POST", "token-life") => {
            let Seconds { seconds } = parsed(body)?;
            shared.change_settings(|settings| settings.token_life_s = seconds);
            done()
        }
        ("POST", "grace") => {
            let MaybeSeconds { seconds } = parsed(body)?;
            let grace = seconds.map(Duration::try_from_secs_f64).transpose().map_err(text)?;
            shared.change_settings(|settings| settings.grace = grace);
            done()
        }
        ("POST", "keys/rotate") => {
            let Rotate { keep_old } = if body.is_empty() { Rotate { keep_old: true } } else { parsed(body)? };
            shared.rotate_keys(keep_old).map_err(text)?;
            done()
        }
        ("POST", "revoke") => {
            shared.platform().revoke();
            done()
        }
        ("POST", "end-sessions") => {
            shared.platform().end_sessions();
            done()
        }
        ("POST", "release") => Ok(Some(json!({ "released": shared.gate.release() }))),
        ("POST", "bad-tls") => {
            let Kind { kind } = parsed(body)?;
            let url = shared.bad_tls_url(kind).map_err(text)?;
            Ok(Some(json!({ "url": url })))
        }
        _ => Ok(None),
    }
}

fn parsed<T: DeserializeOwned>(body: &[u8]) -> Result<T, String> {
    serde_json::from_slice(body).map_err(text)
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}
