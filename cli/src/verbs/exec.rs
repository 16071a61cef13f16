//! `gcauth exec`: a command with a token that stays fresh.
//!
//! The command runs in our own process group: what the terminal sends (Ctrl-C, Ctrl-Z, its end) reaches it as if we were
//! not there, also in a pipeline. What somebody sends to us alone is passed on. We stop when the command is stopped by its
//! terminal, so that the shell notices, and end when it ends.

use std::fs;
use std::path::PathBuf;
use std::sync::mpsc::{self, Sender};

use gcauth::token_file::{self, Format};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, kill, raise};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use serde_json::{Map, Value};

use crate::args::Exec;
use crate::child::Command;
use crate::context::{ConfigFile, Context};
use crate::failure::{Failure, Outcome};
use crate::fresh::{Keeper, Order};
use crate::private_dir::PrivateDirectory;
use crate::signals::Signals;
use crate::ui;

/// env(1)'s exit codes for a command that can't be run, and for one that is not there.
const CAN_NOT_RUN: u8 = 126;
const NOT_THERE: u8 = 127;

/// What the command has to hear of.
const PASSED_ON: [Signal; 10] = [
    Signal::SIGHUP,
    Signal::SIGINT,
    Signal::SIGQUIT,
    Signal::SIGTERM,
    Signal::SIGTSTP,
    Signal::SIGCONT,
    Signal::SIGUSR1,
    Signal::SIGUSR2,
    Signal::SIGALRM,
    Signal::SIGWINCH,
];
/// How long the end of the command may go unnoticed where somebody made us ignore SIGCHLD, in milliseconds.
const LOOK_EVERY_MS: u16 = 1000;

pub fn run(context: &Context, args: &Exec) -> Outcome<u8> {
    let session = context.open()?;
    let directory = PrivateDirectory::new()?;
    let wants_all = args.all || !(args.htslib || args.wlcg || args.curl);
    let formats = [(Format::Htslib, args.htslib), (Format::Wlcg, args.wlcg), (Format::Curl, args.curl)];
    let files: Vec<(Format, PathBuf)> = formats
        .into_iter()
        .filter(|(_, is_wanted)| wants_all || *is_wanted)
        .map(|(format, _)| (format, directory.file(format.name())))
        .collect();
    let mut command = Command::new(&args.command);
    for (format, path) in &files {
        command.set(variable(*format), path);
    }
    if files.iter().any(|(format, _)| *format == Format::Wlcg) {
        // It would go before the file.
        command.remove("BEARER_TOKEN");
    }
    share_session(context, &directory, &mut command)?;
    let mut keeper = Keeper::new(&session, context.ui, files, args.valid_for);
    context.ui.waiting(session.host(), || keeper.begin())?;

    let held: Vec<Signal> = PASSED_ON.into_iter().chain([Signal::SIGCHLD]).collect();
    let signals = Signals::block(&held).map_err(|error| Failure::other(format!("signals can't be held: {error}")))?;
    let child = match command.spawn(signals.before()) {
        Ok(child) => child,
        Err(error) => {
            let program = args.command.first().map(|program| program.to_string_lossy()).unwrap_or_default();
            ui::warn(&format!("gcauth: {program}: {}", error.desc()));
            return Ok(if error == Errno::ENOENT { NOT_THERE } else { CAN_NOT_RUN });
        }
    };
    let (orders, taken) = mpsc::channel();
    Ok(std::thread::scope(|scope| {
        scope.spawn(move || keeper.keep(&taken));
        let code = accompany(child, &signals, &orders);
        // A renewal that is on the way is waited for: its answer would be lost.
        let _ = orders.send(Order::End);
        code
    }))
}

/// Passes signals on until the child has ended. Gives the exit code that a shell would give.
fn accompany(child: Pid, signals: &Signals, orders: &Sender<Order>) -> u8 {
    loop {
        let mut ready = [PollFd::new(signals.as_fd(), PollFlags::POLLIN)];
        let _ = poll(&mut ready, PollTimeout::from(LOOK_EVERY_MS));
        while let Some(arrived) = signals.next() {
            if arrived.signal == Signal::SIGCONT {
                // The time while we were stopped has passed for the token too.
                let _ = orders.send(Order::Look);
            }
            // What keys make goes to all in the foreground; the end of the terminal only to the first of the session.
            let has_it = arrived.is_from_kernel && arrived.signal != Signal::SIGHUP;
            if arrived.signal != Signal::SIGCHLD && !has_it {
                let _ = kill(child, arrived.signal);
            }
        }
        if let Some(code) = reap(child) {
            return code;
        }
    }
}

/// Buries the dead. Gives the exit code when the child is among them. As the first process of a container we are also the
/// parent of those whose parents have ended.
fn reap(child: Pid) -> Option<u8> {
    loop {
        match waitpid(None, Some(WaitPidFlag::WNOHANG | WaitPidFlag::WUNTRACED)) {
            Ok(WaitStatus::Exited(pid, code)) if pid == child => return Some(u8::try_from(code & 0xff).unwrap_or(1)),
            Ok(WaitStatus::Signaled(pid, signal, _)) if pid == child => {
                return Some(u8::try_from(128 + signal as i32).unwrap_or(1));
            }
            Ok(WaitStatus::Stopped(pid, Signal::SIGTSTP | Signal::SIGTTIN | Signal::SIGTTOU)) if pid == child => {
                // The shell waits for us, and has to see it. We go on here when it sends us to work again.
                let _ = raise(Signal::SIGSTOP);
            }
            Ok(WaitStatus::StillAlive) => return None,
            Ok(_) | Err(Errno::EINTR) => {}
            // Somebody made us ignore SIGCHLD: the system has buried the child, and its code is lost.
            Err(_) => return Some(1),
        }
    }
}

fn variable(format: Format) -> &'static str {
    match format {
        Format::Htslib => "HTS_AUTH_LOCATION",
        Format::Wlcg => "BEARER_TOKEN_FILE",
        Format::Curl => "GCAUTH_HEADER_FILE",
    }
}

/// Has programs that use the library find this session. They know the config only: neither `--env`, nor that the user's
/// store is meant where the config names none.
fn share_session(context: &Context, directory: &PrivateDirectory, command: &mut Command) -> Outcome {
    command.set("GCAUTH_SESSION", context.surroundings.user_session.name()?);
    let names_store = context.config()?.names_store();
    if let (Some(ConfigFile { path, .. }), true, None) = (&context.config_file, names_store, &context.common.env) {
        command.set("GCAUTH_CONFIG", std::path::absolute(path).unwrap_or_else(|_| path.clone()));
        return Ok(());
    }
    let mut config = match &context.config_file {
        Some(ConfigFile { path, .. }) => {
            let failed = |why: &str| Failure::other(format!("the config file {} {why}", path.display()));
            let text = fs::read_to_string(path).map_err(|error| failed(&format!("can't be read: {error}")))?;
            serde_json::from_str::<Map<String, Value>>(&text).map_err(|_| failed("has changed; try again"))?
        }
        None => Map::new(),
    };
    if !names_store {
        config.insert("store".to_owned(), "user".into());
    }
    if let Some(env) = &context.common.env {
        config.insert("env".to_owned(), env.clone().into());
    }
    let path = directory.file("config.json");
    token_file::replace(&path, Value::Object(config).to_string().as_bytes())?;
    command.set("GCAUTH_CONFIG", path);
    Ok(())
}
