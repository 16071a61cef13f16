//! What people see: messages on standard error, output for programs on standard output, and nothing else there.

use std::io::{self, ErrorKind, IsTerminal, Write};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use crate::args::Color;
use crate::failure::{Failure, Outcome};

/// A wait that is longer is explained.
const PATIENCE: Duration = Duration::from_secs(1);

/// How to talk.
#[derive(Clone, Copy, Debug)]
pub struct Ui {
    /// Whether to say nothing but errors.
    pub is_quiet: bool,
    /// Whether output is coloured.
    pub has_color: bool,
}

impl Ui {
    /// By the options, the terminal and `NO_COLOR`.
    pub fn new(is_quiet: bool, color: Color) -> Self {
        let wants_none = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let has_color = match color {
            Color::Always => true,
            Color::Never => false,
            Color::Auto => io::stdout().is_terminal() && !wants_none,
        };
        Ui { is_quiet, has_color }
    }

    /// A line for people.
    pub fn say(&self, line: &str) {
        if !self.is_quiet {
            warn(line);
        }
    }

    /// `text`, in green or in red.
    pub fn mark(&self, text: &str, is_good: bool) -> String {
        match (self.has_color, is_good) {
            (false, _) => text.to_owned(),
            (true, true) => format!("\x1b[32m{text}\x1b[0m"),
            (true, false) => format!("\x1b[31m{text}\x1b[0m"),
        }
    }

    /// Does `work`, and says what it waits for when that takes long, where somebody looks on.
    pub fn waiting<T>(&self, what: &str, work: impl FnOnce() -> T) -> T {
        if self.is_quiet || !io::stderr().is_terminal() {
            return work();
        }
        let (done, is_done) = mpsc::channel::<()>();
        std::thread::scope(|scope| {
            scope.spawn(move || {
                if is_done.recv_timeout(PATIENCE) == Err(RecvTimeoutError::Timeout) {
                    warn(&format!("gcauth: waiting for {what} (Ctrl-C ends it)"));
                }
            });
            let outcome = work();
            drop(done);
            outcome
        })
    }
}

/// A line that must be seen.
pub fn warn(line: &str) {
    // Nobody is left to be told that standard error is closed.
    let _ = writeln!(io::stderr(), "{line}");
}

/// Output for programs.
pub fn print(text: &str) -> Outcome {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        // Who reads no further has what it wants.
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(Failure::other(format!("standard output can't be written: {error}")))
        }
        _ => Ok(()),
    }
}

/// Output for programs, with a line's end.
pub fn print_line(text: &str) -> Outcome {
    print(&format!("{text}\n"))
}
