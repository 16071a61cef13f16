//! A server that rotates refresh tokens and ends a session when it sees a spent one again.
#![forbid(unsafe_code)]

use std::collections::{HashMap, HashSet};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::{EPOCH_MS, Event, Inner};

/// What a server does about a token that was spent a short while ago.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Grace {
    None,
    /// It gives the same answer again.
    Same {
        ms: i64,
    },
    /// It gives another pair.
    Fresh {
        ms: i64,
    },
}

#[derive(Clone, Debug)]
pub(super) struct Pair {
    pub(super) token: String,
    pub(super) refresh_token: String,
}

/// What a process gets to see of its request.
#[derive(Clone, Debug)]
pub(super) enum Reply {
    Pair(Pair),
    Status(u16),
    Reset,
}

/// What happens to a request on its way; decided when it is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Luck {
    Good,
    RequestLost,
    ReplyLost,
    Reset,
    /// 503, not looked at.
    Unavailable,
    /// 404 from something between, not looked at.
    Refused,
    /// 502 from something between, looked at.
    BadGateway,
}

/// A refresh or a login on its way.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) slot: usize,
    pub(super) incarnation: u32,
    /// None: a login.
    pub(super) refresh_token: Option<String>,
    /// When the last look began.
    pub(super) looked_ms: i64,
    pub(super) sent_ms: i64,
    pub(super) luck: Luck,
    pub(super) reply_delay_ms: i64,
    pub(super) reply: Option<Reply>,
    pub(super) answered_ms: i64,
    /// The process had its answer.
    pub(super) was_answered: bool,
    /// The process went on without one.
    pub(super) was_given_up: bool,
    /// The call ended with an answer that the store had not taken.
    pub(super) was_kept: bool,
}

#[derive(Debug)]
pub(super) struct RefreshToken {
    pub(super) family: u64,
    /// The refresh token that was spent for this one.
    pub(super) parent: Option<String>,
    pub(super) spent: Option<(i64, Pair)>,
    /// Requests that hold it.
    pub(super) requests: Vec<usize>,
}

#[derive(Debug, Default)]
pub(super) struct Family {
    pub(super) has_ended: bool,
    pub(super) why: String,
    pub(super) began_ms: i64,
    /// When the store took the login that began it.
    pub(super) stored_ms: i64,
}

#[derive(Debug)]
pub(super) struct Server {
    grace: Grace,
    life_s: i64,
    serial: u64,
    pub(super) families: HashMap<u64, Family>,
    pub(super) refresh_tokens: HashMap<String, RefreshToken>,
    /// Access token to the time of its end, in true milliseconds since the epoch.
    pub(super) expiries: HashMap<String, i64>,
    /// Access token to its family.
    pub(super) owners: HashMap<String, u64>,
    /// The access token that each session was given last.
    newest: HashMap<u64, String>,
    /// Access tokens that a later refresh has revoked, where a server does so.
    pub(super) revoked: HashSet<String>,
    pub(super) requests: Vec<Request>,
    pub(super) granted: u64,
    pub(super) graces: u64,
    pub(super) reuses: u64,
    pub(super) refused: u64,
    /// When refreshes were granted.
    pub(super) grants_ms: Vec<i64>,
}

impl Server {
    pub(super) fn new(grace: Grace, life_s: i64) -> Self {
        Server {
            grace,
            life_s,
            serial: 0,
            families: HashMap::new(),
            refresh_tokens: HashMap::new(),
            expiries: HashMap::new(),
            owners: HashMap::new(),
            newest: HashMap::new(),
            revoked: HashSet::new(),
            requests: Vec::new(),
            granted: 0,
            graces: 0,
            reuses: 0,
            refused: 0,
            grants_ms: Vec::new(),
        }
    }

    /// The pair of a new session.
    pub(super) fn login(&mut self, now_ms: i64) -> Pair {
        self.serial += 1;
        let family = self.serial;
        self.families.insert(family, Family { began_ms: now_ms, ..Family::default() });
        self.mint(family, None, now_ms)
    }

    fn mint(&mut self, family: u64, parent: Option<String>, now_ms: i64) -> Pair {
        self.serial += 1;
        let (serial, iat) = (self.serial, (EPOCH_MS + now_ms).div_euclid(1000));
        let exp = iat + self.life_s;
        let payload = URL_SAFE_NO_PAD.encode(format!(r#"{{"iat":{iat},"exp":{exp},"jti":"{serial}"}}"#));
        let pair = Pair { token: format!("e30.{payload}.c2ln"), refresh_token: format!("r{serial}") };
        self.expiries.insert(pair.token.clone(), exp * 1000);
        self.owners.insert(pair.token.clone(), family);
        self.revoked.extend(self.newest.insert(family, pair.token.clone()));
        let kept = RefreshToken { family, parent, spent: None, requests: Vec::new() };
        self.refresh_tokens.insert(pair.refresh_token.clone(), kept);
        pair
    }

    fn refresh(&mut self, presented: &str, now_ms: i64) -> Reply {
        let Some(known) = self.refresh_tokens.get(presented) else {
            self.refused += 1;
            return Reply::Status(401);
        };
        let family = known.family;
        if self.families[&family].has_ended {
            self.refused += 1;
            return Reply::Status(401);
        }
        if let Some((at, pair)) = known.spent.clone() {
            match self.grace {
                Grace::Same { ms } if now_ms - at <= ms => {
                    self.graces += 1;
                    return Reply::Pair(pair);
                }
                Grace::Fresh { ms } if now_ms - at <= ms => {
                    self.graces += 1;
                    let parent = Some(presented.to_owned());
                    return Reply::Pair(self.mint(family, parent, now_ms));
                }
                _ => {}
            }
            self.reuses += 1;
            if let Some(family) = self.families.get_mut(&family) {
                family.has_ended = true;
                family.why = format!("{presented}, first spent at {at} ms, came again at {now_ms} ms");
            }
            return Reply::Status(401);
        }
        self.granted += 1;
        self.grants_ms.push(now_ms);
        let pair = self.mint(family, Some(presented.to_owned()), now_ms);
        if let Some(known) = self.refresh_tokens.get_mut(presented) {
            known.spent = Some((now_ms, pair.clone()));
        }
        Reply::Pair(pair)
    }
}

impl Inner {
    /// A request has come to the server.
    pub(super) fn arrive(&mut self, request: usize) {
        let now_ms = self.now_ms;
        let (luck, delay, token) = {
            let request = &self.server.requests[request];
            (request.luck, request.reply_delay_ms, request.refresh_token.clone())
        };
        let reply = match (luck, &token) {
            (Luck::RequestLost, _) => return,
            (Luck::Unavailable, _) => Reply::Status(503),
            (Luck::Refused, _) => Reply::Status(404),
            (_, None) => Reply::Pair(self.server.login(now_ms)),
            (_, Some(token)) => {
                let reuses = self.server.reuses;
                let reply = self.server.refresh(token, now_ms);
                if self.server.reuses > reuses {
                    self.check_reuse(request, &token.clone());
                }
                reply
            }
        };
        self.tell(|_| {
            let what = match &reply {
                Reply::Pair(pair) => format!("gives {}", pair.refresh_token),
                other => format!("answers {other:?}"),
            };
            format!("server: request {request} with {token:?}: {what} ({luck:?})")
        });
        let reply = match luck {
            Luck::ReplyLost => return,
            Luck::Reset => Reply::Reset,
            Luck::BadGateway => Reply::Status(502),
            _ => reply,
        };
        self.server.requests[request].reply = Some(reply);
        self.server.requests[request].answered_ms = now_ms;
        self.at(now_ms + delay, Event::Reply { request });
    }

    /// A reply has come to the process that asked, if that is still there.
    pub(super) fn deliver(&mut self, request: usize) {
        let (now_ms, number) = (self.now_ms, request);
        let request = &mut self.server.requests[request];
        let slot = &mut self.slots[request.slot];
        if request.was_given_up || slot.is_dead || slot.incarnation != request.incarnation {
            return;
        }
        slot.answer = request.reply.take();
        if slot.waits_for == Some(number) {
            let at = request.slot;
            self.wake_at(at, now_ms);
        }
    }
}
