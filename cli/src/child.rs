//! Starts the command of `gcauth exec`, with the signals as we found them: std's `Command` would hand on those that we
//! hold back.

use std::collections::BTreeMap;
use std::ffi::{CString, OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::spawn::{PosixSpawnAttr, PosixSpawnFileActions, PosixSpawnFlags, posix_spawnp};
use nix::sys::signal::{SigSet, Signal};
use nix::unistd::{AccessFlags, Pid, access};

/// What runs a script that does not say what runs it.
const SHELL: &str = "/bin/sh";

/// A command, with its environment.
pub struct Command<'a> {
    words: &'a [OsString],
    environment: BTreeMap<OsString, OsString>,
}

impl<'a> Command<'a> {
    /// `words`: the program and its arguments. The environment is ours.
    pub fn new(words: &'a [OsString]) -> Self {
        Command { words, environment: std::env::vars_os().collect() }
    }

    /// Sets a variable.
    pub fn set(&mut self, name: &str, value: impl Into<OsString>) {
        self.environment.insert(name.into(), value.into());
    }

    /// Takes a variable away.
    pub fn remove(&mut self, name: &str) {
        self.environment.remove(OsStr::new(name));
    }

    /// Starts it, with the signals in `mask` blocked and no others.
    pub fn spawn(&self, mask: &SigSet) -> Result<Pid, Errno> {
        let Some((program, rest)) = self.words.split_first() else {
            return Err(Errno::ENOENT);
        };
        match self.spawn_words(program, self.words, mask) {
            // As execvp(3) has it.
            Err(Errno::ENOEXEC) => {
                let script = find(program).ok_or(Errno::ENOEXEC)?.into_os_string();
                let words: Vec<OsString> = [SHELL.into(), script].into_iter().chain(rest.iter().cloned()).collect();
                self.spawn_words(OsStr::new(SHELL), &words, mask)
            }
            outcome => outcome,
        }
    }

    fn spawn_words(&self, program: &OsStr, words: &[OsString], mask: &SigSet) -> Result<Pid, Errno> {
        let mut attributes = PosixSpawnAttr::init()?;
        attributes.set_flags(PosixSpawnFlags::POSIX_SPAWN_SETSIGMASK | PosixSpawnFlags::POSIX_SPAWN_SETSIGDEF)?;
        attributes.set_sigmask(mask)?;
        // Rust's programs ignore it, which the command has not asked for.
        let mut default = SigSet::empty();
        default.add(Signal::SIGPIPE);
        attributes.set_sigdefault(&default)?;
        let words = words.iter().map(|word| c_string(word.as_bytes().to_vec())).collect::<Result<Vec<_>, _>>()?;
        let environment =
            self.environment.iter().map(|(name, value)| c_string([name.as_bytes(), b"=", value.as_bytes()].concat()));
        let environment = environment.collect::<Result<Vec<_>, _>>()?;
        let program = c_string(program.as_bytes().to_vec())?;
        posix_spawnp(&program, &PosixSpawnFileActions::init()?, &attributes, &words, &environment)
    }
}

fn c_string(bytes: Vec<u8>) -> Result<CString, Errno> {
    CString::new(bytes).map_err(|_| Errno::EINVAL)
}

/// The file that a program's name means.
fn find(program: &OsStr) -> Option<PathBuf> {
    if program.as_bytes().contains(&b'/') {
        return Some(PathBuf::from(program));
    }
    let path = std::env::var_os("PATH").unwrap_or_else(|| OsString::from_vec(b"/bin:/usr/bin".to_vec()));
    let here = |directory: PathBuf| {
        if directory.as_os_str().is_empty() { Path::new(".").join(program) } else { directory.join(program) }
    };
    std::env::split_paths(&path).map(here).find(|file| access(file, AccessFlags::X_OK).is_ok() && file.is_file())
}
