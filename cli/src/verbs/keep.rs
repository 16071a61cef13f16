//! `gcauth keep`: token files without a command, for a node's prologue or a service.

use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::path::{Path, PathBuf};
use std::sync::mpsc;

use gcauth::token_file::Format;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::Signal;

use crate::args::Keep;
use crate::context::Context;
use crate::failure::{Failure, Outcome};
use crate::fresh::{Keeper, Order};
use crate::signals::Signals;

const ENDING: [Signal; 3] = [Signal::SIGHUP, Signal::SIGINT, Signal::SIGTERM];

pub fn run(context: &Context, args: Keep) -> Outcome {
    let files = [(Format::Htslib, args.htslib), (Format::Wlcg, args.wlcg), (Format::Curl, args.curl)];
    let files: Vec<(Format, PathBuf)> =
        files.into_iter().filter_map(|(format, path)| Some((format, absolute(path?)))).collect();
    if files.is_empty() {
        return Err(Failure::usage("no file is named; use --htslib FILE, --wlcg FILE or --curl FILE"));
    }
    let session = context.open()?;
    let signals = Signals::block(&ENDING).map_err(|error| Failure::other(format!("signals can't be held: {error}")))?;
    let mut keeper = Keeper::new(&session, context.ui, files, args.valid_for);
    keeper.begin()?;
    notify("READY=1\nSTATUS=keeping token files fresh");
    let (orders, taken) = mpsc::channel();
    std::thread::scope(|scope| {
        scope.spawn(move || keeper.keep(&taken));
        while signals.next().is_none() {
            let mut ready = [PollFd::new(signals.as_fd(), PollFlags::POLLIN)];
            let _ = poll(&mut ready, PollTimeout::NONE);
        }
        notify("STOPPING=1");
        // A renewal that is on the way is waited for: its answer would be lost.
        let _ = orders.send(Order::End);
    });
    Ok(())
}

fn absolute(path: PathBuf) -> PathBuf {
    std::path::absolute(&path).unwrap_or(path)
}

/// Tells the service manager, if there is one (sd_notify(3)).
fn notify(state: &str) {
    let Some(name) = std::env::var_os("NOTIFY_SOCKET").filter(|name| !name.is_empty()) else {
        return;
    };
    let address = match name.as_bytes() {
        [b'@', abstract_name @ ..] => SocketAddr::from_abstract_name(abstract_name),
        _ => SocketAddr::from_pathname(Path::new(&name)),
    };
    // Nobody has to listen.
    let _ = address.and_then(|address| UnixDatagram::unbound()?.send_to_addr(state.as_bytes(), &address));
}
