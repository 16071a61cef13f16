//! A session as JSON, for another process to go on with.
#![forbid(unsafe_code)]

use serde_json::Value;

use crate::error::{Error, Result, Status};
use crate::record::Tokens;
use crate::redact::clean;
use crate::secret::SecretBytes;
use crate::transport::{Endpoint, is_same_base};
use crate::wiped_json::{Member, WipedJson, write_object};

const MAX_LEN: usize = 4 << 20;
/// How much of an env and of a host is shown.
const MAX_SHOWN: usize = 100;

/// Writes `{"env","host","token","refresh_token","token_type","project_id"}`, without the parts that are absent.
pub(crate) fn to_json(env: &str, host: &str, tokens: &Tokens) -> Result<SecretBytes> {
    let has_tokens = !tokens.is_none();
    let members = [
        ("env", Some(env)),
        ("host", Some(host)),
        ("token", tokens.token()),
        ("refresh_token", tokens.refresh_token()),
        ("token_type", has_tokens.then_some(tokens.token_type.as_str())),
        ("project_id", tokens.scope.as_deref()),
    ];
    let present = members.iter().filter_map(|(name, value)| value.map(|text| (*name, Member::Text(text))));
    write_object(&present.collect::<Vec<_>>())
}

/// What [`to_json`] wrote.
pub(crate) struct Exported(WipedJson);

impl Exported {
    /// Reads an exported session; members that are not known are passed over.
    pub(crate) fn parse(json: &str) -> Result<Self> {
        if json.len() > MAX_LEN {
            return Err(wrong("is larger than 4 MiB"));
        }
        let exported = match WipedJson::parse(json.as_bytes()) {
            Some(json) if json.is_object() => Exported(json),
            Some(_) => return Err(wrong("is not a JSON object")),
            None => return Err(wrong("is not valid JSON")),
        };
        for name in ["env", "host", "token", "refresh_token", "token_type", "project_id"] {
            match exported.0.lookup(name) {
                None | Some(Value::Null | Value::String(_)) => {}
                Some(_) => return Err(wrong(&format!("has a \"{name}\" that is not a string"))),
            }
        }
        Ok(exported)
    }

    fn member(&self, name: &str) -> Option<&str> {
        self.0.lookup(name).and_then(Value::as_str).filter(|text| !text.is_empty())
    }

    /// Whether the session is of this env and host: credentials never go where the config does not say.
    pub(crate) fn check_place(&self, env: &str, host: &str) -> Result<()> {
        let (Some(their_env), Some(their_host)) = (self.member("env"), self.member("host")) else {
            return Err(wrong("has no \"env\" or no \"host\""));
        };
        if their_env == env && is_same_base(their_host, host) {
            return Ok(());
        }
        // What is shown below holds no password.
        Endpoint::parse(their_host).map_err(|why| wrong(&format!("has a \"host\" that {why}")))?;
        let shown = |text| clean(text, &[], MAX_SHOWN);
        Err(Error::new(
            Status::Config,
            format!(
                "the exported session is of env \"{}\" at {}, and the config of \"{}\" at {}; give the config it was \
                 made with",
                shown(their_env),
                shown(their_host),
                shown(env),
                shown(host)
            ),
        ))
    }

    pub(crate) fn token(&self) -> Option<&str> {
        self.member("token")
    }

    pub(crate) fn refresh_token(&self) -> Option<&str> {
        self.member("refresh_token")
    }

    pub(crate) fn token_type(&self) -> Option<&str> {
        self.member("token_type")
    }

    pub(crate) fn project_id(&self) -> Option<&str> {
        self.member("project_id")
    }
}

fn wrong(why: &str) -> Error {
    Error::new(Status::Config, format!("the exported session {why}; export it again"))
}
