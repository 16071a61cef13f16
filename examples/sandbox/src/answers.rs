//! The right answer to a request: what the platform says, in HTTP.

use std::sync::PoisonError;

use crate::faults::{Effect, Target};
use crate::http::{Head, Response};
use crate::platform::{Granted, Mint, NotRefreshed};
use crate::server::Shared;

/// Processes a request, and counts what comes of it. Tokens are made as the effects want them.
pub(crate) fn process(shared: &Shared, target: Target, head: &Head, body: &[u8], effects: &[Effect]) -> Response {
    let method = if matches!(target, Target::Login | Target::Refresh | Target::Logout) { "POST" } else { "GET" };
    if target == Target::Any {
        return Response::error(404, "no such path");
    }
    if head.method != method {
        return Response::error(405, "method not allowed").with_header("Allow", method);
    }
    let settings = *shared.settings.lock().unwrap_or_else(PoisonError::into_inner);
    let keys = shared.keys.read().unwrap_or_else(PoisonError::into_inner);
    let mut platform = shared.platform.lock().unwrap_or_else(PoisonError::into_inner);
    let mint = Mint {
        keys: &keys,
        now: shared.clock.now(),
        life_s: settings.token_life_s,
        faults: effects
            .iter()
            .filter_map(|effect| if let Effect::Token(fault) = effect { Some(fault) } else { None })
            .collect(),
    };
    match target {
        Target::Login => match platform.login(body, &mint) {
            Ok(pair) => {
                shared.records.count(|counters| counters.logins += 1);
                Response::json(201, &pair)
            }
            Err(refusal) => {
                shared.records.count(|counters| counters.logins_refused += 1);
                Response::error(refusal.code, &refusal.message)
            }
        },
        Target::Refresh => match platform.refresh(body, settings.grace, &mint) {
            Ok((pair, how)) => {
                shared.records.count(|counters| match how {
                    Granted::Fresh => counters.refreshes += 1,
                    Granted::Grace => counters.graces += 1,
                });
                Response::json(200, &pair)
            }
            Err(NotRefreshed::Refused(refusal)) => {
                shared.records.count(|counters| counters.refreshes_refused += 1);
                Response::error(refusal.code, &refusal.message)
            }
            Err(NotRefreshed::Reuse(refusal)) => {
                shared.records.count(|counters| {
                    counters.refreshes_refused += 1;
                    counters.reuses += 1;
                });
                Response::error(refusal.code, &refusal.message)
            }
        },
        Target::Logout => match platform.logout(body, &keys) {
            Ok(()) => {
                shared.records.count(|counters| counters.logouts += 1);
                Response::new(204, "", Vec::new())
            }
            Err(refusal) => Response::error(refusal.code, &refusal.message),
        },
        Target::Jwks => {
            let response = Response::json(200, &keys.jwks());
            match settings.jwks_max_age_s {
                Some(seconds) => response.with_header("Cache-Control", &format!("public, max-age={seconds}")),
                None => response,
            }
        }
        Target::Resource | Target::Any | Target::Connection => {
            let bearer = head.header("Authorization").and_then(|value| value.strip_prefix("Bearer "));
            let who = match bearer {
                None => Err(("Bearer realm=\"gcauth-sandbox\"".to_owned(), "no bearer token")),
                Some(token) => platform.resource(token, &keys, mint.now).map_err(|why| {
                    let header = "Bearer realm=\"gcauth-sandbox\", error=\"invalid_token\"";
                    (format!("{header}, error_description=\"{why}\""), why)
                }),
            };
            match who {
                Ok(who) => {
                    shared.records.count(|counters| counters.resource_ok += 1);
                    Response::json(200, &who)
                }
                Err((header, why)) => {
                    shared.records.count(|counters| counters.resource_refused += 1);
                    Response::error(401, why).with_header("WWW-Authenticate", &header)
                }
            }
        }
    }
}
