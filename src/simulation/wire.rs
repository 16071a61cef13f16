//! The network between a process and the server.
#![forbid(unsafe_code)]

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::server::{Luck, Reply, Request};
use super::{EPOCH_MS, Event, Inner, World};
use crate::error::{Error, Status};
use crate::secret::SecretBytes;
use crate::transport::{Answer, BeforeSend, Endpoint, Exchange, Failure};
use crate::wiped_json::WipedJson;

pub(super) struct Wire {
    pub(super) world: Arc<World>,
    pub(super) slot: usize,
}

impl Inner {
    fn luck(&mut self) -> Luck {
        let faults = self.plan.faults.clone();
        for (probability, luck) in [
            (faults.lost_request, Luck::RequestLost),
            (faults.lost_reply, Luck::ReplyLost),
            (faults.reset, Luck::Reset),
            (faults.unavailable, Luck::Unavailable),
            (faults.refused, Luck::Refused),
            (faults.bad_gateway, Luck::BadGateway),
        ] {
            if self.strikes(probability) {
                return luck;
            }
        }
        Luck::Good
    }
}

impl Exchange for Wire {
    fn post_json(
        &self,
        _endpoint: &Endpoint,
        body: &SecretBytes,
        before: Option<BeforeSend>,
        deadline: Instant,
    ) -> Result<Answer, Failure> {
        let unsent = |error| Failure { error, was_sent: false };
        let lost = |status, why: &str| Failure { error: Error::new(status, why), was_sent: true };
        let (world, slot) = (&*self.world, self.slot);
        let refresh_token =
            WipedJson::parse(body.expose()).and_then(|json| json.text("refreshToken").map(str::to_owned));
        let connect = world.lock().numbers.between(20, 200);
        world.pause(slot, connect, Some("connect"));
        let looked_ms = {
            let mut inner = world.lock();
            let (unreachable, away) = (inner.plan.faults.unreachable, inner.plan.server_away_ms);
            if (away.0..away.1).contains(&inner.now_ms) || inner.strikes(unreachable) {
                inner.tell(|_| format!("[{slot}] can't connect"));
                return Err(unsent(Error::new(Status::Connect, "no connection")));
            }
            inner.now_ms
        };
        if let Some(before) = before {
            before().map_err(unsent)?;
        }
        // Here is the gap that nothing can close.
        world.pause(slot, 1, Some("send"));
        let request = {
            let mut inner = world.lock();
            if inner.slots[slot].is_dead {
                return Err(unsent(Error::new(Status::Connect, "dead")));
            }
            let (sent_ms, incarnation) = (inner.now_ms, inner.slots[slot].incarnation);
            let luck = inner.luck();
            let (way, mut reply_delay_ms) = (inner.numbers.between(5, 300), inner.numbers.between(5, 300));
            let slow = inner.plan.faults.slow_reply;
            if inner.strikes(slow) {
                reply_delay_ms += inner.numbers.between(1_000, 40_000);
            }
            let number = inner.server.requests.len();
            inner.tell(|_| format!("[{slot}] sends request {number} with {refresh_token:?} ({luck:?})"));
            if let Some(token) = &refresh_token {
                inner.check_send(slot, token, looked_ms);
            }
            if let Some(known) = refresh_token.as_ref().and_then(|token| inner.server.refresh_tokens.get_mut(token)) {
                known.requests.push(number);
            }
            inner.server.requests.push(Request {
                slot,
                incarnation,
                refresh_token,
                looked_ms,
                sent_ms,
                luck,
                reply_delay_ms,
                reply: None,
                answered_ms: 0,
                was_answered: false,
                was_given_up: false,
                was_kept: false,
            });
            inner.at(sent_ms + way, Event::Arrive { request: number });
            inner.slots[slot].answer = None;
            number
        };
        let until = {
            let inner = world.lock();
            let deadline = deadline.saturating_duration_since(world.base).as_millis();
            i64::try_from(deadline).unwrap_or(i64::MAX).max(inner.now_ms)
        };
        {
            let mut inner = world.lock();
            inner.slots[slot].waits_for = Some(request);
            inner.wake_at(slot, until);
            world.hand_over(inner, Some(slot)).slots[slot].waits_for = None;
        }
        // What came while it was stopped is there all the same.
        world.pause(slot, 0, Some("reply"));
        let mut inner = world.lock();
        let answer = inner.slots[slot].answer.take();
        let has_dates = inner.plan.has_dates;
        let of_request = &mut inner.server.requests[request];
        let date_ms = has_dates.then(|| EPOCH_MS + of_request.answered_ms / 1000 * 1000);
        match answer {
            None => {
                of_request.was_given_up = true;
                Err(lost(Status::Timeout, "timeout_ms ran out before the answer came"))
            }
            Some(Reply::Reset) => {
                of_request.was_given_up = true;
                Err(lost(Status::Connect, "connection reset"))
            }
            Some(Reply::Status(status)) => {
                of_request.was_answered = true;
                let retry_after = (status == 503).then(|| Duration::from_secs(1));
                let body = text(if status == 401 { r#"{"error":"invalid_grant"}"# } else { "{}" }).map_err(unsent)?;
                Ok(Answer { status, retry_after, max_age: None, date_ms, body })
            }
            Some(Reply::Pair(pair)) => {
                of_request.was_answered = true;
                let json = format!(r#"{{"token":"{}","refreshToken":"{}"}}"#, pair.token, pair.refresh_token);
                Ok(Answer {
                    status: 200,
                    retry_after: None,
                    max_age: None,
                    date_ms,
                    body: text(&json).map_err(unsent)?,
                })
            }
        }
    }

    fn get_json(&self, _endpoint: &Endpoint, _deadline: Instant) -> Result<Answer, Failure> {
        Err(Failure { error: Error::new(Status::Internal, "nothing to get here"), was_sent: false })
    }

    fn secrets(&self) -> Vec<&str> {
        Vec::new()
    }
}

fn text(text: &str) -> crate::Result<SecretBytes> {
    let mut bytes = SecretBytes::with_capacity(text.len())?;
    bytes.push(text.as_bytes())?;
    Ok(bytes)
}
