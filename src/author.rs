//! Who wrote what stands in a store: a process, and whether it is known to have ended.
#![forbid(unsafe_code)]

use std::fmt;
use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use nix::errno::Errno;
use nix::sys::signal::kill;
use nix::unistd::Pid;

use crate::files;

/// A process on a host, for people to find, and for others on the same machine to see whether it lives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Author {
    pub(crate) host: String,
    pub(crate) pid: u32,
    /// Where `pid` means something; None where the system does not say, or an older version of this library wrote it.
    pub(crate) place: Option<Place>,
}

/// What a number of a process is to be read with: hosts of one name, containers and later processes have their own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// Which start of which machine.
    pub(crate) boot_id: String,
    /// Which of its namespaces of processes.
    pub(crate) pid_namespace: String,
    /// When the process started, in ticks since the boot.
    pub(crate) started: u64,
}

impl fmt::Display for Author {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "process {} on {}", self.pid, self.host)
    }
}

impl Author {
    /// This process.
    pub(crate) fn here() -> Self {
        #[cfg(test)]
        if let Some(author) = crate::simulation::author() {
            return author;
        }
        let host = nix::unistd::gethostname().ok().and_then(|name| name.into_string().ok());
        Author { host: host.unwrap_or_else(|| "unknown".to_owned()), pid: std::process::id(), place: Place::here() }
    }

    /// Whether it runs yet, for a process of this very machine and namespace: one that is no more does not, nor one
    /// whose number another has now. None where that can't be known.
    pub(crate) fn is_running(&self) -> Option<bool> {
        #[cfg(test)]
        if let Some(is_running) = crate::simulation::is_running(self) {
            return is_running;
        }
        let (place, here) = (self.place.as_ref()?, Place::here()?);
        let pid = i32::try_from(self.pid).ok().filter(|pid| *pid > 0)?;
        let is_near = place.boot_id == here.boot_id
            && place.pid_namespace == here.pid_namespace
            && self.host == Author::here().host;
        match (is_near, kill(Pid::from_raw(pid), None)) {
            (false, _) => None,
            (true, Err(Errno::ESRCH)) => Some(false),
            (true, _) => started(&self.pid.to_string()).map(|started| started == Some(place.started)),
        }
    }

    /// The process of this machine that has this number.
    #[cfg(test)]
    pub(crate) fn of(pid: u32) -> Self {
        let place = Place { started: started(&pid.to_string()).unwrap().unwrap(), ..Place::here().unwrap() };
        Author { pid, place: Some(place), ..Author::here() }
    }
}

impl Place {
    /// Where this process is; None where the system does not say.
    fn here() -> Option<Self> {
        Some(Place { boot_id: boot_id()?, pid_namespace: namespace("pid")?, started: started("self")?? })
    }
}

/// Which start of this machine it is.
pub(crate) fn boot_id() -> Option<String> {
    let text = files::read_to_string(Path::new("/proc/sys/kernel/random/boot_id")).ok()?;
    Some(text.trim().to_owned()).filter(|id| is_plain(id))
}

/// The name of this process's namespace of that kind, like `pid:[4026531836]`.
pub(crate) fn namespace(kind: &str) -> Option<String> {
    match fs::read_link(format!("/proc/self/ns/{kind}")) {
        Ok(name) => name.into_os_string().into_string().ok().filter(|name| is_plain(name)),
        // A kernel without namespaces of this kind has one for all.
        Err(error) if error.kind() == ErrorKind::NotFound && fs::exists("/proc/self/ns").ok()? => {
            Some("one".to_owned())
        }
        Err(_) => None,
    }
}

/// When a process started, in ticks since the boot; None within for one that has ended, and that nobody has waited for.
fn started(pid: &str) -> Option<Option<u64>> {
    let stat = files::read_to_string(&Path::new("/proc").join(pid).join("stat")).ok()?;
    // The name before may hold anything. It is the second field, the state the third, and this the twenty-second.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    let has_ended = matches!(fields.next()?, "Z" | "X");
    let started = fields.nth(18)?.parse().ok()?;
    Some((!has_ended).then_some(started))
}

/// Whether it can stand between spaces.
fn is_plain(text: &str) -> bool {
    !text.is_empty() && text.len() <= 100 && text.bytes().all(|byte| byte.is_ascii_graphic())
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    fn at(here: &Author, change: impl FnOnce(&mut Place)) -> Author {
        let mut author = here.clone();
        change(author.place.as_mut().unwrap());
        author
    }

    #[test]
    fn only_a_process_of_this_very_place_is_known_to_have_ended() {
        let here = Author::here();
        assert_eq!(here.is_running(), Some(true));
        let mut child = Command::new("sleep").arg("600").spawn().unwrap();
        let author = Author::of(child.id());
        assert_eq!(author.is_running(), Some(true));
        child.kill().unwrap();
        // Nobody has waited for it yet.
        while author.is_running() != Some(false) {
            std::thread::yield_now();
        }
        child.wait().unwrap();
        assert_eq!(author.is_running(), Some(false));
        for elsewhere in [
            at(&author, |place| place.boot_id.push('0')),
            at(&author, |place| place.pid_namespace = "pid:[1]".to_owned()),
            Author { host: "another".to_owned(), ..author.clone() },
            // As older versions wrote it.
            Author { place: None, ..author.clone() },
            Author { pid: 0, ..author.clone() },
            Author { pid: u32::MAX, ..author },
        ] {
            assert_eq!(elsewhere.is_running(), None, "{elsewhere:?}");
        }
    }

    #[test]
    fn a_number_that_another_process_has_by_now_is_nobodys() {
        let here = Author::here();
        assert_eq!(at(&here, |place| place.started -= 1).is_running(), Some(false));
        assert_eq!(at(&here, |place| place.boot_id.push('0')).is_running(), None);
    }

    #[test]
    fn the_place_is_known_here() {
        let place = Place::here().unwrap();
        assert!(place.boot_id.len() == 36 && place.pid_namespace.starts_with("pid:["), "{place:?}");
        assert!(is_plain("pid:[1]") && !is_plain("") && !is_plain("a b") && !is_plain("a\n"));
    }
}
