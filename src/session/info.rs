//! What a session tells of itself.
#![forbid(unsafe_code)]

use std::sync::atomic::{AtomicU64, Ordering};

use super::Session;
use crate::error::Result;
use crate::key_source::Asker;
use crate::secret::SecretBytes;
use crate::token::{self, Payload};
use crate::wiped_json::{Member, write_object};

impl Session {
    /// The environment's name.
    pub fn env(&self) -> &str {
        &self.env
    }

    /// The base URL that credentials go to.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The project id claim of the current token.
    pub fn project_id(&self) -> Result<i64> {
        self.current()?.payload()?.project_id(&self.config.project_id_claims)
    }

    /// The payload of the current token: with a key (PEM, JWK or JWKS) only if it verifies, without one unverified.
    pub fn decode_jwt(&self, public_key: Option<&str>) -> Result<Payload> {
        let current = self.current()?;
        let token = current.token()?;
        match public_key {
            None => token::decode(token),
            Some(key) => token::verify_with_key_text(
                token,
                key,
                &self.keys,
                self.clock.now().wall_ms,
                self.config.clock_leeway.as_secs(),
            ),
        }
    }

    /// The payload of the current token, if it verifies with the config's `public_key` or the keys at its `jwks_url`.
    pub fn verify(&self) -> Result<Payload> {
        let current = self.current()?;
        let token = current.token()?;
        token::precheck(token)?;
        let kid = token::kid(token);
        let asker = Asker {
            platform: &self.platform,
            clock: &self.clock,
            deadline: self.deadline(),
            journal: &self.log.journal(),
            kid: kid.as_deref(),
        };
        self.key_source.with_keys(&asker, |keys| {
            token::verify(token, keys, self.clock.now().wall_ms, self.config.clock_leeway.as_secs())
        })
    }

    /// The session as JSON, to go on with elsewhere. It holds both tokens.
    pub fn to_json(&self) -> Result<SecretBytes> {
        crate::export::to_json(&self.env, &self.host, &self.current()?.0.record.tokens)
    }

    /// How the session is shared, as JSON. No secret in it.
    pub fn info(&self) -> Result<SecretBytes> {
        let current = self.current()?;
        let grant = &current.0;
        let record = &grant.record;
        let count = |count: &AtomicU64| Member::Unsigned(count.load(Ordering::Relaxed));
        let mut members = vec![
            ("generation", Member::Unsigned(record.version.generation)),
            ("store", Member::Text(self.store.kind())),
            ("lock", Member::Text(self.store.lock_kind())),
        ];
        members.extend(record.tokens.scope.as_deref().map(|scope| ("scope", Member::Text(scope))));
        if !record.tokens.is_none() {
            members.extend([
                ("renewed_at", Member::Signed(record.received.wall_ms.div_euclid(1000))),
                ("renewed_by_host", Member::Text(&record.author.host)),
                ("renewed_by_pid", Member::Unsigned(record.author.pid.into())),
            ]);
        }
        members.extend([
            ("made", count(&self.counts.made)),
            ("joined", count(&self.counts.joined)),
            ("adopted", count(&self.counts.adopted)),
        ]);
        members.extend(grant.schedule.seconds_left(self.clock.now()).map(|left| ("expires_in", Member::Signed(left))));
        write_object(&members)
    }

    /// How long no call looks into the store.
    #[cfg(test)]
    pub(crate) fn fresh_for_ms(&self) -> i64 {
        self.current.load().schedule.fresh_for_ms(self.clock.now())
    }
}
