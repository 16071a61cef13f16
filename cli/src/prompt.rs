//! Questions on the terminal. A password is read without echo, and the terminal is as before whatever ends the question.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::fd::AsFd;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::Signal;
use nix::sys::termios::{ControlFlags, InputFlags, LocalFlags, SetArg, Termios, tcgetattr, tcsetattr};
use zeroize::Zeroizing;

use crate::failure::{Failure, Outcome};
use crate::signals::Signals;

const CTRL_C: u8 = 0x03;
const CTRL_D: u8 = 0x04;
const BACKSPACE: u8 = 0x08;
const CTRL_U: u8 = 0x15;
const CTRL_Z: u8 = 0x1a;
const CTRL_BACKSLASH: u8 = 0x1c;
const DELETE: u8 = 0x7f;
/// What would end the process, or stop it, while the terminal is not as it should be.
const ENDING: [Signal; 5] = [Signal::SIGHUP, Signal::SIGINT, Signal::SIGQUIT, Signal::SIGTERM, Signal::SIGTSTP];

/// The terminal, whatever standard input and output are.
pub struct Terminal(File);

impl Terminal {
    /// The terminal that this process belongs to. None: nobody can be asked.
    pub fn open() -> Option<Self> {
        OpenOptions::new().read(true).write(true).open("/dev/tty").ok().map(Terminal)
    }

    /// Asks for a line of text.
    pub fn ask(&mut self, question: &str) -> Outcome<String> {
        let mut line = String::new();
        let asked =
            self.say(question).and_then(|()| io::BufRead::read_line(&mut io::BufReader::new(&self.0), &mut line));
        match asked {
            Ok(0) => Err(Failure::other("the terminal was closed before there was an answer")),
            Ok(_) => Ok(line.trim().to_owned()),
            Err(error) => Err(failed(&error)),
        }
    }

    /// Asks for a password.
    pub fn ask_password(&mut self, question: &str) -> Outcome<Zeroizing<String>> {
        let outcome = loop {
            self.say(question).map_err(|error| failed(&error))?;
            match self.read_silently() {
                // Ctrl-Z: here again when somebody has sent us to the foreground.
                Ok(Typed::Stopped) => {}
                Ok(Typed::Line(line)) => break Ok(line),
                Ok(Typed::Nothing) => break Err(Failure::other("no password was typed")),
                Err(error) => break Err(failed(&error)),
            }
        };
        let _ = self.say("\n");
        outcome
    }

    fn say(&mut self, text: &str) -> io::Result<()> {
        self.0.write_all(text.as_bytes())?;
        self.0.flush()
    }

    fn read_silently(&self) -> io::Result<Typed> {
        // Signals wait until the terminal is as before.
        let signals = Signals::block(&ENDING)?;
        let silent = Silent::new(&self.0)?;
        let mut line = Zeroizing::new(Vec::<u8>::with_capacity(1024));
        let typed = loop {
            let mut ready =
                [PollFd::new(self.0.as_fd(), PollFlags::POLLIN), PollFd::new(signals.as_fd(), PollFlags::POLLIN)];
            match poll(&mut ready, PollTimeout::NONE) {
                Ok(_) | Err(nix::errno::Errno::EINTR) => {}
                Err(error) => return Err(error.into()),
            }
            if ready[1].any().unwrap_or(false) {
                // It is delivered below, when nothing blocks it any more.
                break Typed::Stopped;
            }
            let mut byte = Zeroizing::new([0u8; 1]);
            if (&self.0).read(&mut byte[..])? == 0 {
                break Typed::Nothing;
            }
            match byte[0] {
                b'\n' | b'\r' => break Typed::from(line),
                CTRL_D if line.is_empty() => break Typed::Nothing,
                CTRL_D => break Typed::from(line),
                CTRL_C => break signals.raise_later(Signal::SIGINT)?,
                CTRL_BACKSLASH => break signals.raise_later(Signal::SIGQUIT)?,
                CTRL_Z => break signals.raise_later(Signal::SIGTSTP)?,
                CTRL_U => line.clear(),
                BACKSPACE | DELETE => {
                    // A whole character, not the last of its bytes.
                    while line.pop().is_some_and(|byte| byte & 0xc0 == 0x80) {}
                }
                byte if line.len() < line.capacity() => line.push(byte),
                _ => break Typed::Nothing,
            }
        };
        drop(silent);
        if matches!(typed, Typed::Stopped) {
            let _ = (&self.0).write_all(b"\n");
        }
        drop(signals);
        Ok(typed)
    }
}

/// What became of a question.
pub enum Typed {
    Line(Zeroizing<String>),
    Nothing,
    /// A signal came.
    Stopped,
}

impl From<Zeroizing<Vec<u8>>> for Typed {
    fn from(line: Zeroizing<Vec<u8>>) -> Self {
        match std::str::from_utf8(&line) {
            Ok(line) if !line.is_empty() => Typed::Line(Zeroizing::new(line.to_owned())),
            _ => Typed::Nothing,
        }
    }
}

/// A terminal that shows nothing of what is typed, until this is dropped.
struct Silent<'a> {
    terminal: &'a File,
    before: Termios,
}

impl<'a> Silent<'a> {
    fn new(terminal: &'a File) -> io::Result<Self> {
        let before = tcgetattr(terminal)?;
        let mut silent = before.clone();
        silent.local_flags.remove(LocalFlags::ECHO | LocalFlags::ECHONL | LocalFlags::ICANON | LocalFlags::ISIG);
        silent.input_flags.insert(InputFlags::ICRNL);
        silent.control_flags.insert(ControlFlags::CREAD);
        tcsetattr(terminal, SetArg::TCSAFLUSH, &silent)?;
        Ok(Silent { terminal, before })
    }
}

impl Drop for Silent<'_> {
    fn drop(&mut self) {
        let _ = tcsetattr(self.terminal, SetArg::TCSAFLUSH, &self.before);
    }
}

fn failed(error: &io::Error) -> Failure {
    Failure::other(format!("the terminal can't be asked: {error}"))
}
