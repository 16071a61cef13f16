//! What faults make of an answer.

use std::io::Write as _;

use serde_json::{Map, Value, json};

use crate::faults::{Body, EchoForm, Effect};
use crate::http::{Framing, Head, Response};
use crate::records::is_public;

/// Neither HTTP nor TLS.
pub(crate) const GARBAGE: &[u8] = b"\x16\x03\x01 this is not HTTP \x00\xff\xfe\r\n\r\n";

/// An answer that a request gets without being processed.
pub(crate) fn unprocessed(head: &Head, body: &[u8], effect: &Effect) -> Option<Response> {
    match effect {
        Effect::Status { code, body, headers, processed: false } => Some(replaced(*code, body.as_ref(), headers)),
        Effect::Redirect { code, location } => {
            let elsewhere = || format!("{}/elsewhere", head.path);
            let location = location.clone().unwrap_or_else(elsewhere);
            Some(Response::error(*code, "moved").with_header("Location", &location))
        }
        Effect::Echo { code, form } => Some(echo(*code, *form, &secrets(head, body))),
        // Its answer is written later, in the place of this one.
        Effect::Garbage => Some(Response::new(200, "", Vec::new())),
        _ => None,
    }
}

fn replaced<'a>(
    code: u16,
    body: Option<&Body>,
    headers: impl IntoIterator<Item = (&'a String, &'a String)>,
) -> Response {
    let response = match body {
        None => Response::error(code, "as ordered"),
        Some(body) => with_body(code, body),
    };
    with_headers(response, headers)
}

fn with_headers<'a>(mut response: Response, headers: impl IntoIterator<Item = (&'a String, &'a String)>) -> Response {
    for (name, value) in headers {
        response.set_header(name, value);
    }
    response
}

fn with_body(code: u16, body: &Body) -> Response {
    match body {
        Body::Json(value) => Response::json(code, value),
        Body::Text(text) => Response::new(code, "text/plain; charset=utf-8", text.clone().into()),
        Body::Html(text) => Response::new(code, "text/html; charset=utf-8", text.clone().into()),
        Body::Raw(text) => Response::new(code, "application/json", text.clone().into()),
        Body::Empty => Response::new(code, "", Vec::new()),
        Body::NotUtf8 => {
            let body = b"{\"message\": \"caf\xe9 \xff\xfe\", \"details\": [], \"token\": \"\xc3\x28\"}";
            Response::new(code, "application/json", body.to_vec())
        }
        Body::Huge { bytes } => Response::new(code, "text/plain", vec![b'x'; *bytes]),
        Body::GzipBomb { bytes } => {
            let (start, end) = (b"{\"message\":\"".as_slice(), b"\"}".as_slice());
            let spaces = bytes.saturating_sub(start.len() + end.len());
            // Piece by piece: what is small on the wire need not be large here.
            let block = [b' '; 64 * 1024];
            let whole = std::iter::repeat_n(block.as_slice(), spaces / block.len());
            let rest = &block[..spaces % block.len()];
            let packed = gzip([start].into_iter().chain(whole).chain([rest, end]));
            Response::new(code, "application/json", packed).with_header("Content-Encoding", "gzip")
        }
    }
}

/// What an effect makes of the right answer's content.
pub(crate) fn content(mut response: Response, effect: &Effect) -> Response {
    match effect {
        Effect::Status { code, body, headers, processed: true } => replaced(*code, body.as_ref(), headers),
        Effect::Code(code) => {
            response.code = *code;
            response
        }
        Effect::Body(body) => with_body(response.code, body),
        Effect::BrokenJson => {
            response.body.pop();
            response
        }
        Effect::WrongTypes => edited(response, |members| {
            members.insert("token".into(), 12345.into());
            members.insert("refreshToken".into(), json!(["a", "b"]));
        }),
        Effect::MissingToken => edited(response, |members| {
            members.remove("token");
        }),
        Effect::MissingRefreshToken => edited(response, |members| {
            members.remove("refreshToken");
        }),
        Effect::ExtraFields => edited(response, |members| {
            members.insert("expiresIn".into(), 3600.into());
            members.insert("user".into(), json!({ "token": "not this one", "roles": ["reader", null, 1.5] }));
        }),
        Effect::TokenType(kind) => edited(response, |members| {
            members.insert("tokenType".into(), kind.clone().into());
        }),
        Effect::Fields { set, remove } => edited(response, |members| {
            members.extend(set.clone());
            for name in remove {
                members.remove(name);
            }
        }),
        Effect::Padding { bytes } => edited(response, |members| {
            members.insert("padding".into(), "x".repeat(*bytes).into());
        }),
        _ => response,
    }
}

/// What an effect makes of the way in which an answer is sent, whichever it is.
pub(crate) fn form(mut response: Response, effect: &Effect) -> Response {
    match effect {
        Effect::Headers(headers) => with_headers(response, headers),
        Effect::Gzip => {
            response.body = gzip([response.body.as_slice()]);
            response.with_header("Content-Encoding", "gzip")
        }
        Effect::Chunked => {
            response.framing = Framing::Chunked;
            response
        }
        Effect::BrokenChunks => {
            response.framing = Framing::BrokenChunks;
            response
        }
        Effect::UntilClose => {
            response.framing = Framing::Close;
            response
        }
        _ => response,
    }
}

fn edited(mut response: Response, change: impl FnOnce(&mut Map<String, Value>)) -> Response {
    if let Ok(Value::Object(mut members)) = serde_json::from_slice(&response.body) {
        change(&mut members);
        response.body = Value::Object(members).to_string().into_bytes();
    }
    response
}

fn gzip<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    let packed = pieces.into_iter().try_for_each(|piece| encoder.write_all(piece)).and_then(|()| encoder.finish());
    packed.expect("memory can be written to")
}

/// Everything in a request that may be a secret.
fn secrets(head: &Head, body: &[u8]) -> Vec<String> {
    let mut secrets = Vec::new();
    if let Some((_, bearer)) = head.header("Authorization").and_then(|value| value.split_once(' ')) {
        secrets.push(bearer.to_owned());
    }
    if let Ok(Value::Object(members)) = serde_json::from_slice(body) {
        let secret = members.iter().filter(|(name, _)| !is_public(name));
        secrets.extend(secret.filter_map(|(_, value)| value.as_str().map(Into::into)));
    }
    secrets
}

fn echo(code: u16, form: EchoForm, secrets: &[String]) -> Response {
    let told: Vec<String> = secrets
        .iter()
        .map(|secret| {
            let quoted = Value::from(secret.as_str()).to_string();
            format!("{secret} or {quoted} or {}", percent_encoded(secret))
        })
        .collect();
    let message = format!("refused: {}", told.join("; "));
    match form {
        EchoForm::Json => Response::json(code, &json!({ "message": message, "details": told })),
        EchoForm::Text => Response::new(code, "text/plain; charset=utf-8", message.into_bytes()),
    }
}

fn percent_encoded(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
            _ => format!("%{byte:02X}"),
        })
        .collect()
}
