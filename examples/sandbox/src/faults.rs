//! Injected faults: what the server does wrong, to which requests, how often.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};

/// Which requests a fault is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Target {
    /// `POST frontdesk/login`
    Login,
    /// `POST auth/refresh-token`
    Refresh,
    /// `POST auth/logout`
    Logout,
    /// `GET me`
    Resource,
    /// `GET .well-known/jwks.json`
    Jwks,
    /// Every request, whatever its path, but not the control endpoints.
    #[default]
    Any,
    /// Every connection, before TLS and before anything is read. Possible effects: [`Effect::Latency`],
    /// [`Effect::Hold`], [`Effect::Drop`] and [`Effect::Garbage`]; their `at` says nothing here.
    Connection,
}

/// How often a fault happens. In JSON a number, or `"forever"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Times {
    /// That many times.
    Count(u32),
    /// Until the faults are cleared.
    Forever,
}

impl Serialize for Times {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Times::Count(count) => serializer.serialize_u32(*count),
            Times::Forever => serializer.serialize_str("forever"),
        }
    }
}

impl<'de> Deserialize<'de> for Times {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Value::deserialize(deserializer)? {
            Value::String(text) if text == "forever" => Ok(Times::Forever),
            value => value
                .as_u64()
                .and_then(|count| u32::try_from(count).ok())
                .map(Times::Count)
                .ok_or_else(|| serde::de::Error::custom("times: a number or \"forever\"")),
        }
    }
}

/// A moment in the life of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Moment {
    /// The request is read; nothing has been done.
    BeforeProcessing,
    /// It is done (logged in, refresh token spent); nothing of the answer has been sent.
    AfterProcessing,
}

/// The point at which a connection is dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DropPoint {
    /// The path is known, the body is unread. For a drop before anything is read see [`Target::Connection`].
    BeforeReading,
    /// The request is read, and not processed.
    BeforeProcessing,
    /// It is processed: the answer is lost.
    AfterProcessing,
    /// Processed; half of the head was sent.
    MidHeaders,
    /// Processed; half of the body was sent.
    MidBody,
}

/// The part of an answer that drips.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Part {
    /// The body only.
    #[default]
    Body,
    /// Status line and headers as well.
    All,
}

/// The form of a body that tells secrets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EchoForm {
    /// JSON with the secrets in `message` and `details`.
    #[default]
    Json,
    /// Plain text.
    Text,
}

/// A body in the place of the right one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Body {
    /// This JSON.
    Json(Value),
    /// This text, as `text/plain`.
    Text(String),
    /// This text, as `text/html`.
    Html(String),
    /// This text, as `application/json`: for JSON that is not.
    Raw(String),
    /// No body.
    Empty,
    /// JSON with bytes that are not UTF-8.
    NotUtf8,
    /// A text of that many bytes.
    Huge {
        /// The size.
        bytes: usize,
    },
    /// JSON of that many bytes (spaces in a string), gzipped to about a thousandth.
    GzipBomb {
        /// The size when unpacked.
        bytes: usize,
    },
}

/// More would fill the memory rather than test a client.
const MOST_BYTES: usize = 1 << 30;

fn too_large() -> String {
    format!("at most {MOST_BYTES} bytes")
}

impl Body {
    fn check(&self) -> Result<(), String> {
        match self {
            Body::Huge { bytes } | Body::GzipBomb { bytes } if *bytes > MOST_BYTES => Err(too_large()),
            _ => Ok(()),
        }
    }
}

/// An access token that is out of the ordinary.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum TokenFault {
    /// Without `exp`.
    NoExp,
    /// Without `iat`.
    NoIat,
    /// Not a JWT.
    NotAJwt,
    /// Expired a minute ago.
    Expired,
    /// With a line break in its middle.
    ControlCharacters,
    /// Made by a clock that is off by this many seconds: `iat` and `exp` are shifted.
    ClockOff(f64),
    /// Only `iat` is shifted by this many seconds.
    IatOff(f64),
    /// With these claims changed, or added; `null` takes one away.
    Claims(Map<String, Value>),
    /// This text.
    Text(String),
}

/// One thing that the server does wrong.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Effect {
    /// Answers with this status in the place of the right answer.
    Status {
        /// The status.
        code: u16,
        /// The body; by default an error as the platform tells it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        body: Option<Body>,
        /// Headers to add or replace.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        headers: BTreeMap<String, String>,
        /// Whether the request is processed all the same, its answer being lost.
        #[serde(default)]
        processed: bool,
    },
    /// Answers with a redirect, without processing.
    Redirect {
        /// 301, 302, 303, 307 or 308.
        code: u16,
        /// Where to; by default the same path on the same host with `/elsewhere` at its end.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        location: Option<String>,
    },
    /// Answers with an error that tells the secrets that were sent: as they are, JSON-escaped and percent-encoded.
    /// The request is not processed.
    Echo {
        /// The status.
        #[serde(default = "bad_request")]
        code: u16,
        /// JSON or text.
        #[serde(default)]
        form: EchoForm,
    },
    /// The right answer with another status.
    Code(u16),
    /// Headers to add or replace.
    Headers(BTreeMap<String, String>),
    /// Waits.
    Latency {
        /// For how long.
        ms: u64,
        /// When.
        #[serde(default = "after_processing")]
        at: Moment,
    },
    /// Waits for [`Sandbox::release`](crate::Sandbox::release).
    Hold {
        /// When.
        #[serde(default = "after_processing")]
        at: Moment,
    },
    /// Sends the answer bit by bit.
    Drip {
        /// The pause between.
        ms: u64,
        /// How many bytes at once.
        #[serde(default = "one")]
        bytes: usize,
        /// What drips.
        #[serde(default)]
        part: Part,
    },
    /// Drops the connection.
    Drop {
        /// When.
        at: DropPoint,
        /// By a reset (RST) instead of an end (FIN).
        #[serde(default)]
        reset: bool,
    },
    /// Sends bytes that are not HTTP. The request is not processed.
    Garbage,
    /// Sends these interim answers (100 to 199) before the right one.
    Informational(Vec<u16>),
    /// The right status with another body. The request is processed.
    Body(Body),
    /// The right JSON without its last byte.
    BrokenJson,
    /// `token` as a number, `refreshToken` as an array.
    WrongTypes,
    /// No `token`.
    MissingToken,
    /// No `refreshToken`.
    MissingRefreshToken,
    /// Members that nobody asked for.
    ExtraFields,
    /// `tokenType` with this value.
    TokenType(String),
    /// Members of the answer changed or taken away.
    Fields {
        /// Members to change or add.
        #[serde(default, skip_serializing_if = "Map::is_empty")]
        set: Map<String, Value>,
        /// Members to take away.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        remove: Vec<String>,
    },
    /// The right answer made larger by a member of that many bytes.
    Padding {
        /// The size.
        bytes: usize,
    },
    /// The body gzipped, whether the client asked for it or not.
    Gzip,
    /// The body in chunks.
    Chunked,
    /// The body in chunks, one of them with a size that is no number.
    BrokenChunks,
    /// The body without a length: it ends with the connection.
    UntilClose,
    /// The access token in a login's or refresh's answer.
    Token(TokenFault),
}

fn bad_request() -> u16 {
    400
}

fn after_processing() -> Moment {
    Moment::AfterProcessing
}

fn one() -> usize {
    1
}

/// Something for the server to do wrong. Faults wait in a queue; a request gets the first one that is for it, with
/// all of its effects.
///
/// ```
/// use gcauth_sandbox::{DropPoint, Effect, Fault, Target};
///
/// // The second refresh is processed, but its answer gets lost.
/// let fault = Fault::new(Target::Refresh, Effect::Drop { at: DropPoint::AfterProcessing, reset: false }).skip(1);
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// Which requests it is for.
    #[serde(default)]
    pub on: Target,
    /// How often it happens.
    #[serde(default = "once")]
    pub times: Times,
    /// How many of the requests it is for it lets through first.
    #[serde(default)]
    pub skip: u32,
    /// What happens: in JSON one effect, or a list of them.
    #[serde(rename = "do", deserialize_with = "one_or_more")]
    pub effects: Vec<Effect>,
}

fn once() -> Times {
    Times::Count(1)
}

fn one_or_more<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Effect>, D::Error> {
    let effects = match Value::deserialize(deserializer)? {
        Value::Array(list) => list.into_iter().map(serde_json::from_value).collect(),
        one => serde_json::from_value(one).map(|effect| vec![effect]),
    };
    effects.map_err(serde::de::Error::custom)
}

impl Fault {
    /// A fault that happens once.
    #[must_use]
    pub fn new(on: Target, effect: Effect) -> Self {
        Fault { on, times: once(), skip: 0, effects: vec![effect] }
    }

    /// An answer of this status, without processing.
    #[must_use]
    pub fn status(on: Target, code: u16) -> Self {
        Fault::new(on, Effect::Status { code, body: None, headers: BTreeMap::new(), processed: false })
    }

    /// Another effect on the same requests.
    #[must_use]
    pub fn and(mut self, effect: Effect) -> Self {
        self.effects.push(effect);
        self
    }

    /// How often it happens.
    #[must_use]
    pub fn times(mut self, count: u32) -> Self {
        self.times = Times::Count(count);
        self
    }

    /// It happens until the faults are cleared.
    #[must_use]
    pub fn forever(mut self) -> Self {
        self.times = Times::Forever;
        self
    }

    /// How many requests it lets through first.
    #[must_use]
    pub fn skip(mut self, count: u32) -> Self {
        self.skip = count;
        self
    }

    /// What makes no sense about it, if anything.
    pub(crate) fn check(&self) -> Result<(), String> {
        for effect in &self.effects {
            let connection_too =
                matches!(effect, Effect::Latency { .. } | Effect::Hold { .. } | Effect::Drop { .. } | Effect::Garbage);
            if self.on == Target::Connection && !connection_too {
                return Err("on a connection there can only be latency, hold, drop and garbage".into());
            }
            match effect {
                Effect::Status { code, .. } | Effect::Echo { code, .. } | Effect::Code(code)
                    if !(200..=599).contains(code) =>
                {
                    return Err(format!("{code}: not a status of a final answer"));
                }
                Effect::Redirect { code, .. } if !(300..=399).contains(code) => {
                    return Err(format!("{code}: not a redirect"));
                }
                Effect::Informational(codes) if !codes.iter().all(|code| (100..=199).contains(code)) => {
                    return Err("interim answers are 100 to 199".into());
                }
                Effect::Padding { bytes } if *bytes > MOST_BYTES => return Err(too_large()),
                Effect::Body(body) | Effect::Status { body: Some(body), .. } => body.check()?,
                Effect::Drip { bytes: 0, .. } => {
                    return Err("drip: at least one byte at a time".into());
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn is_for(&self, target: Target) -> bool {
        self.on == target || (self.on == Target::Any && target != Target::Connection)
    }
}

/// The faults that are still to happen.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    queue: Mutex<Vec<Fault>>,
}

impl Faults {
    pub(crate) fn order(&self, fault: Fault) {
        self.lock().push(fault);
    }

    pub(crate) fn clear(&self) {
        self.lock().clear();
    }

    pub(crate) fn pending(&self) -> Vec<Fault> {
        self.lock().clone()
    }

    /// The effects on this request.
    pub(crate) fn take(&self, target: Target) -> Vec<Effect> {
        let mut queue = self.lock();
        for index in 0..queue.len() {
            let fault = &mut queue[index];
            if !fault.is_for(target) || fault.times == Times::Count(0) {
                continue;
            }
            if fault.skip > 0 {
                fault.skip -= 1;
                continue;
            }
            let effects = fault.effects.clone();
            if let Times::Count(count) = &mut fault.times {
                *count -= 1;
                if *count == 0 {
                    queue.remove(index);
                }
            }
            return effects;
        }
        Vec::new()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Fault>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
