//! Processes and hosts that share a session, simulated: the real [`Session`](crate::Session) over a store, a network, a
//! server and clocks that are not. One thing happens at a time, in an order that a seed decides, so that a seed that
//! finds something finds it again.
//!
//! Each process has a thread of its own, and exactly one of them runs. Whoever comes to a point where the world could
//! come between (an operation of the store, the network, a sleep) names the time at which it goes on, and hands over to
//! whatever is next by then. There it may also die, or be stopped for a while.
#![forbid(unsafe_code)]

mod checks;
mod figures;
mod runs;
mod server;
mod store;
mod wire;

use std::cell::{Cell, RefCell};
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, Weak};
use std::time::{Duration, Instant};

use crate::author::Author;
use crate::clock::Now;
use crate::schedule::LONGEST_REST_MS;
use server::{Reply, Server};
use store::Kept;

/// Where the simulated time begins, in Unix milliseconds.
const EPOCH_MS: i64 = 1_700_000_000_000;

/// Long enough for others to come between, and not to lose a lease.
const DELAY_MS: i64 = 1_000;

/// Each process in a place has its own number.
const PIDS_PER_SLOT: u32 = 1000;

thread_local! {
    static NUMBERS: RefCell<Option<Numbers>> = const { RefCell::new(None) };
    static AUTHOR: Cell<Option<(usize, u32)>> = const { Cell::new(None) };
    static WORLD: RefCell<Weak<World>> = const { RefCell::new(Weak::new()) };
}

/// The next of this simulated process's random numbers; None outside of a simulation.
pub(crate) fn random_number() -> Option<u64> {
    NUMBERS.with_borrow_mut(|numbers| numbers.as_mut().map(Numbers::next))
}

/// The simulated process that calls; None outside of a simulation.
pub(crate) fn author() -> Option<Author> {
    AUTHOR.get().map(|(host, pid)| Author { host: format!("host{host}"), pid, place: None })
}

/// Whether a simulated process runs, as the one that calls sees it: of another host it can't know. None outside of a
/// simulation.
pub(crate) fn is_running(author: &Author) -> Option<Option<bool>> {
    let (here, _) = AUTHOR.get()?;
    let world = WORLD.with_borrow(Weak::upgrade)?;
    let inner = world.lock();
    let slot = usize::try_from(author.pid / PIDS_PER_SLOT).ok()?.checked_sub(1)?;
    let of_slot = inner.slots.get(slot).filter(|of_slot| of_slot.host == here);
    Some(of_slot.map(|of_slot| !of_slot.is_dead && of_slot.incarnation == author.pid % PIDS_PER_SLOT))
}

/// SplitMix64: short, and the same everywhere.
#[derive(Clone, Debug)]
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, end: i64) -> i64 {
        (self.next() % end.max(1).unsigned_abs()) as i64
    }

    fn between(&mut self, low: i64, high: i64) -> i64 {
        low + self.below(high - low)
    }

    fn chance(&mut self, probability: f64) -> bool {
        (self.next() >> 11) as f64 / ((1u64 << 53) as f64) < probability
    }
}

/// What can go wrong, each with its probability per opportunity.
#[derive(Clone, Debug, Default)]
struct Faults {
    crash: f64,
    stop: f64,
    unreachable: f64,
    lost_request: f64,
    lost_reply: f64,
    reset: f64,
    slow_reply: f64,
    unavailable: f64,
    refused: f64,
    bad_gateway: f64,
    store_error: f64,
    store_error_after: f64,
    delay: f64,
    store_outage: f64,
    clock_step: f64,
    store_emptied: f64,
}

/// How the lock of the store works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum LockKind {
    Flock,
    Lease,
}

/// What to simulate.
#[derive(Clone, Debug)]
struct Plan {
    seed: u64,
    hosts: usize,
    per_host: usize,
    lock: LockKind,
    kind: &'static str,
    life_s: i64,
    renew_before_s: i64,
    /// Milliseconds between two calls of one process: at least, at most.
    calls_ms: (i64, i64),
    lifetimes: i64,
    grace: server::Grace,
    faults: Faults,
    /// Clocks that are wrong from the beginning.
    wrong_clocks: bool,
    logins: bool,
    /// When nobody reaches the server: from, until.
    server_away_ms: (i64, i64),
    revokes_old_tokens: bool,
    /// Whether the server's answers tell when they were made.
    has_dates: bool,
    mutation: Option<store::Mutation>,
    /// How long the store takes for one way, in milliseconds.
    store_ms: (i64, i64),
    /// Which opportunities for a fault are taken, by their number, instead of leaving it to chance.
    script: Option<Vec<usize>>,
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    /// A process goes on, unless something else woke it.
    Wake {
        slot: usize,
        ticket: u64,
    },
    Arrive {
        request: usize,
    },
    Reply {
        request: usize,
    },
    Step {
        host: usize,
        ms: i64,
    },
    Empty,
    Outage {
        until_ms: i64,
    },
}

/// One process after the other in the same place.
#[derive(Debug, Default)]
struct Slot {
    host: usize,
    incarnation: u32,
    is_dead: bool,
    ticket: u64,
    /// When it was stopped, and until when.
    stops: Vec<(i64, i64)>,
    /// Whether the present call met a lock that somebody else had.
    met_holder: bool,
    /// The request whose answer it waits for.
    waits_for: Option<usize>,
    answer: Option<Reply>,
    last_outcome: Option<crate::error::Result<()>>,
    /// The family of the last login that this process made, and when that began.
    logged_in: Option<(u64, i64)>,
    /// How often it was given a token that a later refresh had revoked.
    rejected_uses: u64,
}

#[derive(Debug, Default)]
struct Host {
    offset_ms: i64,
    was_wrong: bool,
}

struct Inner {
    plan: Plan,
    now_ms: i64,
    order: u64,
    queue: BinaryHeap<Reverse<(i64, u64, Event)>>,
    numbers: Numbers,
    /// How many opportunities for a fault there were.
    opportunities: usize,
    running: Option<usize>,
    is_over: bool,
    end_ms: i64,
    /// From here on nothing goes wrong any more.
    calm_ms: i64,
    slots: Vec<Slot>,
    hosts: Vec<Host>,
    store: Kept,
    server: Server,
    violations: Vec<String>,
    trace: Option<Vec<String>>,
}

/// Everything there is.
struct World {
    inner: Mutex<Inner>,
    turns: Vec<Condvar>,
    over: Condvar,
    base: Instant,
}

/// What a process dies of.
struct Killed;

impl Inner {
    fn at(&mut self, ms: i64, event: Event) {
        self.order += 1;
        self.queue.push(Reverse((ms, self.order, event)));
    }

    fn wake_at(&mut self, slot: usize, ms: i64) {
        self.slots[slot].ticket += 1;
        let ticket = self.slots[slot].ticket;
        self.at(ms, Event::Wake { slot, ticket });
    }

    fn tell(&mut self, line: impl FnOnce(&Inner) -> String) {
        if self.trace.is_some() {
            let line = format!("{:>9} {}", self.now_ms, line(self));
            if let Some(trace) = &mut self.trace {
                trace.push(line);
            }
        }
    }

    fn violation(&mut self, what: String) {
        self.tell(|_| format!("VIOLATION {what}"));
        self.violations.push(format!("at {} ms: {what}", self.now_ms));
    }

    fn is_calm(&self) -> bool {
        self.now_ms >= self.calm_ms
    }

    /// Whether a fault of this probability strikes now.
    fn strikes(&mut self, probability: f64) -> bool {
        if probability <= 0.0 || self.is_calm() {
            return false;
        }
        let number = self.opportunities;
        self.opportunities += 1;
        match &self.plan.script {
            Some(taken) => taken.contains(&number),
            None => self.numbers.chance(probability),
        }
    }

    /// Whether this process was stopped for long enough to lose a lease, at any time since then.
    fn was_stopped_since(&self, slot: usize, since_ms: i64) -> bool {
        self.slots[slot].stops.iter().any(|(from, to)| *to > since_ms && to - from >= 1500)
    }

    fn handle(&mut self, event: Event) {
        match event {
            Event::Wake { .. } => {}
            Event::Arrive { request } => self.arrive(request),
            Event::Reply { request } => self.deliver(request),
            Event::Step { host, ms } => {
                self.tell(|_| format!("clock of host {host} is set by {ms} ms"));
                self.hosts[host].offset_ms += ms;
                self.hosts[host].was_wrong = true;
            }
            Event::Empty => {
                self.tell(|_| "the store comes back empty".to_owned());
                self.store.empty();
            }
            Event::Outage { until_ms } => {
                self.tell(|_| format!("the store is away until {until_ms}"));
                self.store.away_until_ms = until_ms;
            }
        }
    }
}

impl World {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Hands over to whatever is next, and comes back when it is `me` again.
    fn hand_over<'a>(&'a self, mut inner: MutexGuard<'a, Inner>, me: Option<usize>) -> MutexGuard<'a, Inner> {
        loop {
            match inner.queue.pop() {
                None => {
                    inner.is_over = true;
                    inner.running = None;
                    self.over.notify_all();
                    return inner;
                }
                Some(Reverse((ms, _, event))) => {
                    inner.now_ms = inner.now_ms.max(ms);
                    match event {
                        Event::Wake { slot, ticket } if inner.slots[slot].ticket == ticket => {
                            inner.running = Some(slot);
                            if me != Some(slot) {
                                self.turns[slot].notify_one();
                            }
                            break;
                        }
                        event => inner.handle(event),
                    }
                }
            }
        }
        if let Some(me) = me {
            while inner.running != Some(me) {
                inner = self.turns[me].wait(inner).unwrap_or_else(std::sync::PoisonError::into_inner);
            }
        }
        inner
    }

    /// Lets time pass for this process. At `place` it may be killed or stopped.
    fn pause(&self, slot: usize, ms: i64, place: Option<&str>) {
        let mut inner = self.lock();
        if inner.slots[slot].is_dead {
            return;
        }
        let mut until = inner.now_ms + ms.max(0);
        let mut dies = false;
        if let Some(place) = place {
            let (crash, stop) = (inner.plan.faults.crash, inner.plan.faults.stop);
            dies = inner.strikes(crash);
            if !dies && inner.strikes(stop) {
                let length = inner.numbers.between(2_000, 60_000);
                let from = inner.now_ms;
                until += length;
                inner.slots[slot].stops.push((from, until));
                inner.tell(|_| format!("[{slot}] is stopped at {place} for {length} ms"));
            }
            let delay = inner.plan.faults.delay;
            if !dies && inner.strikes(delay) {
                until += DELAY_MS;
                inner.tell(|_| format!("[{slot}] is delayed at {place}"));
            }
            if dies {
                inner.tell(|_| format!("[{slot}] is killed at {place}"));
            }
        }
        if dies {
            inner.slots[slot].is_dead = true;
            inner.store.closed(slot);
            drop(inner);
            resume_unwind(Box::new(Killed));
        }
        inner.wake_at(slot, until);
        drop(self.hand_over(inner, Some(slot)));
    }

    /// Runs what `life` does in each slot until its end, and gives back how the world is then.
    fn run(plan: Plan, is_traced: bool, life: impl Fn(&Arc<World>, usize) + Send + Sync) -> Inner {
        let processes = plan.hosts * plan.per_host;
        let mut numbers = Numbers(plan.seed);
        let life_ms = plan.life_s * 1000;
        // Two lifetimes, and longer than the longest rest after a refusal.
        let end_ms = life_ms * plan.lifetimes + (life_ms * 2).max(LONGEST_REST_MS + 60_000);
        let mut inner = Inner {
            now_ms: 0,
            order: 0,
            queue: BinaryHeap::new(),
            running: None,
            is_over: false,
            end_ms,
            calm_ms: life_ms * plan.lifetimes,
            slots: (0..processes).map(|at| Slot { host: at / plan.per_host, ..Slot::default() }).collect(),
            hosts: (0..plan.hosts).map(|_| Host::default()).collect(),
            store: Kept::new(plan.lock),
            server: Server::new(plan.grace, plan.life_s),
            violations: Vec::new(),
            trace: is_traced.then(Vec::new),
            numbers: Numbers(numbers.next()),
            opportunities: 0,
            plan,
        };
        inner.schedule_faults();
        for slot in 0..processes {
            let first = inner.numbers.below(inner.plan.calls_ms.1);
            inner.wake_at(slot, first);
        }
        let world = Arc::new(World {
            inner: Mutex::new(inner),
            turns: (0..processes).map(|_| Condvar::new()).collect(),
            over: Condvar::new(),
            base: Instant::now(),
        });
        std::thread::scope(|scope| {
            for slot in 0..processes {
                let (world, life, seed) = (world.clone(), &life, numbers.next());
                std::thread::Builder::new()
                    .stack_size(256 * 1024)
                    .spawn_scoped(scope, move || {
                        let mut inner = world.lock();
                        while inner.running != Some(slot) {
                            inner = world.turns[slot].wait(inner).unwrap();
                        }
                        let host = inner.slots[slot].host;
                        drop(inner);
                        NUMBERS.set(Some(Numbers(seed)));
                        world.live(slot, host, life);
                        drop(world.hand_over(world.lock(), None));
                    })
                    .unwrap();
            }
            drop(world.hand_over(world.lock(), None));
        });
        let world = Arc::into_inner(world).unwrap();
        let mut inner = world.inner.into_inner().unwrap();
        inner.check_the_end();
        inner
    }

    /// One process after the other, until the end.
    fn live(self: &Arc<Self>, slot: usize, host: usize, life: &(impl Fn(&Arc<World>, usize) + Send + Sync)) {
        loop {
            let pid = {
                let mut inner = self.lock();
                let inner_slot = &mut inner.slots[slot];
                inner_slot.is_dead = false;
                inner_slot.incarnation += 1;
                inner_slot.last_outcome = None;
                inner_slot.logged_in = None;
                PIDS_PER_SLOT * (slot as u32 + 1) + inner_slot.incarnation
            };
            AUTHOR.set(Some((host, pid)));
            WORLD.set(Arc::downgrade(self));
            match catch_unwind(AssertUnwindSafe(|| life(self, slot))) {
                Ok(()) => return,
                Err(payload) if payload.is::<Killed>() => {
                    let mut inner = self.lock();
                    let next = inner.now_ms + inner.numbers.between(100, 60_000);
                    inner.wake_at(slot, next);
                    drop(self.hand_over(inner, Some(slot)));
                }
                Err(payload) => {
                    let text = payload
                        .downcast_ref::<String>()
                        .map(String::as_str)
                        .or_else(|| payload.downcast_ref::<&str>().copied())
                        .unwrap_or("?");
                    self.lock().violation(format!("[{slot}] panicked: {text}"));
                    return;
                }
            }
        }
    }
}

impl Inner {
    fn schedule_faults(&mut self) {
        let faults = self.plan.faults.clone();
        let minutes = self.calm_ms / 60_000;
        for host in 0..self.hosts.len() {
            if self.plan.wrong_clocks && self.numbers.chance(0.5) {
                let ms = self.numbers.between(-4 * 3_600_000, 4 * 3_600_000);
                self.hosts[host] = Host { offset_ms: ms, was_wrong: true };
            }
        }
        for minute in 0..minutes {
            let at = minute * 60_000 + self.numbers.below(60_000);
            if self.numbers.chance(faults.store_outage) {
                let until_ms = (at + self.numbers.between(200, 40_000)).min(self.calm_ms);
                self.at(at, Event::Outage { until_ms });
            }
            if self.numbers.chance(faults.store_emptied) {
                self.at(at, Event::Empty);
            }
            for host in 0..self.hosts.len() {
                if self.numbers.chance(faults.clock_step) {
                    let ms = self.numbers.between(-4 * 3_600_000, 4 * 3_600_000);
                    self.at(at, Event::Step { host, ms });
                }
            }
        }
    }
}

/// The clocks of one host, as one process sees them.
#[derive(Clone)]
pub struct HostClock {
    world: Arc<World>,
    slot: usize,
    host: usize,
}

impl HostClock {
    pub(crate) fn now(&self) -> Now {
        let inner = self.world.lock();
        let monotonic = i64::try_from(self.host).unwrap_or(0) * 1_000_003 + inner.now_ms;
        Now { wall_ms: EPOCH_MS + inner.now_ms + inner.hosts[self.host].offset_ms, mono_ms: monotonic }
    }

    pub(crate) fn machine(&self) -> String {
        format!("host{}", self.host)
    }

    pub(crate) fn instant(&self) -> Instant {
        self.world.base + Duration::from_millis(self.world.lock().now_ms.unsigned_abs())
    }

    pub(crate) fn sleep(&self, pause: Duration) {
        // A pause is over a little late, and never takes no time: two that wait for each other must get on.
        let ms = i64::try_from(pause.as_millis()).unwrap_or(i64::MAX / 4) + 1;
        self.world.pause(self.slot, ms, Some("sleep"));
    }
}

impl fmt::Debug for HostClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HostClock").field("host", &self.host).finish_non_exhaustive()
    }
}
