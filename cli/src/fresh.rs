//! Keeps token files fresh: looks before the token is due, and writes by the rules of its readers.

use std::path::PathBuf;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use gcauth::token_file::{self, Format};
use gcauth::{Current, Result, Session};
use zeroize::Zeroizing;

use crate::payload;
use crate::ui::{self, Ui};

/// The longest pause between two looks: a clock that was set, and a machine that slept, must not go unnoticed for long.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
const SHORTEST_PAUSE: Duration = Duration::from_millis(100);
/// The pause after a failure that leaves nobody a token; the library spaces its requests by itself.
const PAUSE_WITHOUT_TOKEN: Duration = Duration::from_secs(2);
/// With less left, what the file says about its age depends on it.
const NEARLY_OVER_S: i64 = 420;

/// What a keeper is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Look now: time may have passed unnoticed.
    Look,
    /// Come to an end.
    End,
}

/// Token files, and what it takes to keep them.
pub struct Keeper<'a> {
    session: &'a Session,
    ui: Ui,
    files: Vec<(Format, PathBuf)>,
    /// For how long the token has to be good at any time.
    valid_for: Option<Duration>,
    written: Zeroizing<String>,
    complaint: String,
}

impl<'a> Keeper<'a> {
    /// Keeps these files.
    pub fn new(session: &'a Session, ui: Ui, files: Vec<(Format, PathBuf)>, valid_for: Option<Duration>) -> Self {
        Keeper { session, ui, files, valid_for, written: Zeroizing::default(), complaint: String::new() }
    }

    /// Writes the files for the first time.
    pub fn begin(&mut self) -> Result<()> {
        let current = match self.valid_for {
            Some(time) => self.session.bearer_valid_for(time)?,
            None => self.session.bearer()?,
        };
        if let (Some(time), Some(left)) = (self.valid_for, self.session.seconds_left(&current))
            && left < seconds(time)
        {
            let most = self.life_s().unwrap_or(left);
            self.valid_for = Some(Duration::from_secs(most.unsigned_abs() / 2));
            self.ui.say(&format!(
                "gcauth: the server's tokens live no longer than {most} s; they will be renewed every {} s",
                most / 2
            ));
        }
        self.write(&current)
    }

    /// Keeps the files until it is told to end.
    pub fn keep(&mut self, orders: &Receiver<Order>) {
        loop {
            let pause = self.look();
            match orders.recv_timeout(pause) {
                Ok(Order::Look) | Err(RecvTimeoutError::Timeout) => {}
                Ok(Order::End) | Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    /// Renews if it is time to, and writes what has changed. Gives the pause until the next look.
    fn look(&mut self) -> Duration {
        let outcome = match self.valid_for {
            Some(time) => self.session.bearer_valid_for(time),
            None => self.session.bearer(),
        };
        let outcome = outcome.and_then(|current| self.write_if_needed(&current).map(|()| self.pause(&current)));
        match outcome {
            Ok(pause) => {
                if !std::mem::take(&mut self.complaint).is_empty() {
                    self.ui.say("gcauth: the token is fresh again");
                }
                pause
            }
            Err(error) => {
                if self.complaint != error.message() {
                    ui::warn(&format!("gcauth: the token can't be kept fresh: {error}"));
                    error.message().clone_into(&mut self.complaint);
                }
                PAUSE_WITHOUT_TOKEN
            }
        }
    }

    fn write_if_needed(&mut self, current: &Current) -> Result<()> {
        let is_nearly_over = self.session.seconds_left(current).is_some_and(|left| left < NEARLY_OVER_S);
        let is_missing = || self.files.iter().any(|(_, path)| !path.exists());
        if *self.written != *current.bearer()? || is_nearly_over || is_missing() {
            self.write(current)?;
        }
        Ok(())
    }

    fn write(&mut self, current: &Current) -> Result<()> {
        for (format, path) in &self.files {
            token_file::write_current(self.session, current, path, *format)?;
        }
        self.written = Zeroizing::new(current.bearer()?.to_owned());
        Ok(())
    }

    /// Until shortly after the token is due; near its end, more and more often.
    fn pause(&self, current: &Current) -> Duration {
        let Some(due) = self.session.until_renewal(current) else {
            return LONGEST_PAUSE;
        };
        let left = Duration::from_secs(self.session.seconds_left(current).unwrap_or(0).try_into().unwrap_or(0));
        let due = self.valid_for.map_or(due, |time| due.min(left.saturating_sub(time)));
        let pause = if due.is_zero() { left / 20 } else { due };
        pause.clamp(SHORTEST_PAUSE, LONGEST_PAUSE)
    }

    /// How long the server's tokens live.
    fn life_s(&self) -> Option<i64> {
        let number = |name| payload::number_of(self.session, name);
        number("exp")?.checked_sub(number("iat")?).filter(|life| *life > 0)
    }
}

fn seconds(time: Duration) -> i64 {
    i64::try_from(time.as_secs()).unwrap_or(i64::MAX)
}
