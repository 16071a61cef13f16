//! Signals, taken when there is time for them.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use nix::sys::signal::{SigSet, SigmaskHow, Signal, raise};
use nix::sys::signalfd::{SfdFlags, SignalFd};

use crate::prompt::Typed;

/// The sender of a signal is the kernel.
const BY_KERNEL: i32 = 0x80;

/// A signal that came.
#[derive(Clone, Copy, Debug)]
pub struct Arrived {
    /// Which one.
    pub signal: Signal,
    /// Whether the kernel sent it: a key was pressed, or the terminal came to its end.
    pub is_from_kernel: bool,
}

/// Signals that wait to be read, until this is dropped. Threads that are started meanwhile don't get them either.
#[derive(Debug)]
pub struct Signals {
    descriptor: SignalFd,
    before: SigSet,
}

impl Signals {
    /// Holds these signals back.
    pub fn block(signals: &[Signal]) -> io::Result<Self> {
        let mut set = SigSet::empty();
        signals.iter().for_each(|signal| set.add(*signal));
        let before = set.thread_swap_mask(SigmaskHow::SIG_BLOCK)?;
        let descriptor = SignalFd::with_flags(&set, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)?;
        Ok(Signals { descriptor, before })
    }

    /// The next one, if one is there.
    pub fn next(&self) -> Option<Arrived> {
        loop {
            let info = self.descriptor.read_signal().ok().flatten()?;
            // Numbers that have no name here can't have been asked for.
            if let Ok(signal) =
                i32::try_from(info.ssi_signo).map_err(drop).and_then(|n| Signal::try_from(n).map_err(drop))
            {
                return Some(Arrived { signal, is_from_kernel: info.ssi_code == BY_KERNEL });
            }
        }
    }

    /// Has `signal` delivered when this is dropped.
    pub fn raise_later(&self, signal: Signal) -> io::Result<Typed> {
        raise(signal)?;
        Ok(Typed::Stopped)
    }

    /// The signals that were blocked before.
    pub fn before(&self) -> &SigSet {
        &self.before
    }

    /// What to wait for.
    pub fn as_fd(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }
}

impl Drop for Signals {
    fn drop(&mut self) {
        let _ = self.before.thread_set_mask();
    }
}
