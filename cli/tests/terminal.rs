//! On a real terminal: job control, its end, and passwords that nobody sees.

mod support;

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use gcauth_sandbox::{Effect, Fault, Moment, Target};
use nix::fcntl::OFlag;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::pty::{PtyMaster, grantpt, posix_openpt, ptsname_r, unlockpt};
use nix::sys::termios::{LocalFlags, tcgetattr};
use support::*;

/// Both sides of a terminal, which no program inherits that is started meanwhile.
struct Pair {
    master: OwnedFd,
    slave: OwnedFd,
}

impl Pair {
    fn open() -> Self {
        let flags = OFlag::O_RDWR | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
        let master: PtyMaster = posix_openpt(flags).expect("a terminal");
        grantpt(&master).and_then(|()| unlockpt(&master)).expect("it is ours");
        let name = ptsname_r(&master).expect("its name");
        let options = File::options().read(true).write(true).custom_flags(OFlag::O_NOCTTY.bits()).open(name);
        Pair { master: master.into(), slave: options.expect("its other side").into() }
    }
}

/// A terminal, what has been shown on it, and what runs there.
struct Terminal {
    keyboard: Option<File>,
    shown: Arc<Mutex<String>>,
    line: OwnedFd,
    child: Child,
    is_over: Arc<AtomicBool>,
    reader: Option<JoinHandle<()>>,
}

impl Terminal {
    /// Runs `program` as the first of a session of its own.
    fn start(world: &World, program: &str, args: &[&str]) -> Self {
        let pair = Pair::open();
        let mut command: Command = world.program("setsid");
        command.args(["--ctty", "--wait", program]).args(args).env("PS1", "$ ").env("TERM", "dumb");
        let line = || Stdio::from(pair.slave.try_clone().expect("a descriptor"));
        let child = command.stdin(line()).stdout(line()).stderr(line()).spawn().expect("it starts");
        let shown = Arc::new(Mutex::new(String::new()));
        let (kept, mut screen) = (shown.clone(), File::from(pair.master.try_clone().expect("a descriptor")));
        let is_over = Arc::new(AtomicBool::new(false));
        let is_told = is_over.clone();
        let reader = std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            while !is_told.load(Ordering::SeqCst) {
                let mut ready = [PollFd::new(screen.as_fd(), PollFlags::POLLIN)];
                if poll(&mut ready, PollTimeout::from(50u16)) != Ok(1) {
                    continue;
                }
                match screen.read(&mut bytes) {
                    Ok(count @ 1..) => kept.lock().unwrap().push_str(&String::from_utf8_lossy(&bytes[..count])),
                    _ => return,
                }
            }
        });
        let keyboard = Some(File::from(pair.master));
        Terminal { keyboard, shown, line: pair.slave, child, is_over, reader: Some(reader) }
    }

    /// The window is closed: nobody has the terminal's other side any more.
    fn hang_up(&mut self) {
        self.is_over.store(true, Ordering::SeqCst);
        if let Some(reader) = self.reader.take() {
            reader.join().expect("it ends");
        }
        self.keyboard = None;
    }

    fn shell(world: &World) -> Self {
        Self::start(world, "bash", &["--norc", "--noprofile", "-i"])
    }

    fn type_in(&mut self, text: &str) {
        self.keyboard.as_mut().expect("a terminal").write_all(text.as_bytes()).expect("it is typed");
    }

    /// Types a line when the shell has asked for one.
    #[track_caller]
    fn command(&mut self, line: &str) {
        wait_until("the shell asks", || self.shown().trim_end().ends_with('$'));
        self.shown.lock().unwrap().push('\n');
        self.type_in(&format!("{line}\n"));
    }

    fn shown(&self) -> String {
        self.shown.lock().unwrap().clone()
    }

    #[track_caller]
    fn wait_for(&self, text: &str) {
        let end = Instant::now() + LONG;
        while !self.shown().contains(text) {
            assert!(Instant::now() < end, "{text:?} is not shown: {:?}", self.shown());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn has_echo(&self) -> bool {
        tcgetattr(self.line.as_fd()).expect("its state").local_flags.contains(LocalFlags::ECHO)
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        self.hang_up();
    }
}

const GCAUTH: &str = env!("CARGO_BIN_EXE_gcauth");

#[test]
fn a_password_is_asked_for_and_not_shown() {
    let world = World::new();
    let mut terminal = Terminal::start(&world, GCAUTH, &["login"]);
    terminal.wait_for("User name: ");
    terminal.type_in("ada\n");
    terminal.wait_for("Organization: ");
    terminal.type_in("analytical-engines\n");
    terminal.wait_for("Password of ada: ");
    wait_until("there is no echo", || !terminal.has_echo());
    // What was typed by mistake is taken back, a character at a time.
    terminal.type_in("wrong\x15lovelacexü\x7f\x7f\n");
    terminal.wait_for("Logged in as ada");
    assert!(!terminal.shown().contains("love"), "{}", terminal.shown());
    wait_until("there is an echo", || terminal.has_echo());
    world.run(&["token"]).assert_ok();
}

#[test]
fn ctrl_c_at_the_password_leaves_the_terminal_as_it_was() {
    let world = World::new();
    for (key, said) in [("love\x03", "130"), ("love\x1c", "131"), ("\x04", "1")] {
        let mut terminal = Terminal::shell(&world);
        terminal.type_in(&format!("{GCAUTH} login ada -o analytical-engines\n"));
        terminal.wait_for("Password of ada: ");
        wait_until("there is no echo", || !terminal.has_echo());
        terminal.type_in(key);
        terminal.command("echo \"code=$?\"");
        terminal.wait_for(&format!("code={said}\r\n"));
        // The shell switches the echo off while it reads a line by itself; a command sees what we left.
        terminal.command("stty -a | tr ' ' '\\n' | grep -x -E -e '-?(echo|icanon|isig)' | xargs");
        terminal.wait_for("\nisig icanon echo\r\n");
    }
}

#[test]
fn the_password_can_be_typed_after_a_stop() {
    let world = World::new();
    let mut terminal = Terminal::shell(&world);
    terminal.type_in(&format!("{GCAUTH} login ada -o analytical-engines\n"));
    terminal.wait_for("Password of ada: ");
    wait_until("there is no echo", || !terminal.has_echo());
    terminal.type_in("love\x1a");
    terminal.wait_for("Stopped");
    terminal.type_in("fg\n");
    wait_until("it is asked for again", || terminal.shown().matches("Password of ada: ").count() == 2);
    wait_until("there is no echo", || !terminal.has_echo());
    terminal.type_in("lovelace\n");
    terminal.wait_for("Logged in as ada");
}

#[test]
fn ctrl_z_stops_and_fg_goes_on_with_a_fresh_token() {
    let world = World::of_life(6.0);
    world.login();
    let me = format!("{}/me", world.sandbox.http_url());
    let command = format!(
        "{GCAUTH} exec -- bash -c 'echo begun; while [ ! -e $HOME/go ]; do sleep 0.1; done; sleep 1; \
         curl -s -o /dev/null -w \"answer=%{{http_code}}\\n\" -H @$GCAUTH_HEADER_FILE {me}; exit 4'\n"
    );
    let mut terminal = Terminal::shell(&world);
    terminal.type_in(&command);
    terminal.wait_for("begun\r\n");
    terminal.type_in("\x1a");
    terminal.wait_for("Stopped");
    let renewed = world.refreshes();
    // Its token expires while it is stopped.
    std::thread::sleep(Duration::from_secs(8));
    assert_eq!(world.refreshes(), renewed, "it works while it is stopped");
    terminal.type_in("fg\n");
    std::fs::write(world.home.join("go"), "").unwrap();
    terminal.wait_for("answer=200");
    terminal.command("echo \"code=$?\"");
    terminal.wait_for("code=4\r\n");
}

#[test]
fn ctrl_c_reaches_the_command_once() {
    let world = World::new();
    world.login();
    let mut terminal = Terminal::shell(&world);
    let script =
        "trap \"echo got INT\" INT; echo begun; for i in 1 2 3 4 5 6 7 8; do sleep 0.2; done; echo over; exit 5";
    terminal.type_in(&format!("{GCAUTH} exec -- bash -c '{script}'; echo \"code=$?\"\n"));
    terminal.wait_for("begun\r\n");
    terminal.type_in("\x03");
    terminal.wait_for("code=5\r\n");
    assert_eq!(terminal.shown().matches("got INT\r\n").count(), 1, "{}", terminal.shown());
}

#[test]
fn a_pipeline_has_the_terminal_as_without_us() {
    let world = World::new();
    world.login();
    let mut terminal = Terminal::shell(&world);
    // The other end of the pipe reads the keyboard, which only the foreground may.
    terminal.type_in(&format!(
        "{GCAUTH} exec -- sh -c 'echo data; sleep 3' | bash -c 'cat; read -r key </dev/tty; echo \"key=$key\"'\n"
    ));
    terminal.wait_for("data\r\n");
    terminal.type_in("x\n");
    terminal.wait_for("key=x\r\n");
}

#[test]
fn the_end_of_the_terminal_ends_the_command_and_leaves_nothing() {
    let world = World::new();
    world.login();
    let note = world.home.join("note");
    let script = format!("trap 'echo hup >{}; exit 1' HUP; echo begun; while :; do sleep 0.1; done", note.display());
    let mut terminal = Terminal::start(&world, GCAUTH, &["exec", "--", "bash", "-c", &script]);
    terminal.wait_for("begun\r\n");
    assert_eq!(world.private_dirs().len(), 1);
    terminal.hang_up();
    wait_until("the command has heard of it", || std::fs::read_to_string(&note).is_ok_and(|text| text.contains("hup")));
    wait_until("nothing is left", || world.private_dirs().is_empty());
}

#[test]
fn a_long_wait_is_explained_where_somebody_looks_on() {
    let world = World::new();
    world.login();
    world.sandbox.order(Fault::new(Target::Refresh, Effect::Hold { at: Moment::BeforeProcessing }));
    let terminal = Terminal::start(&world, GCAUTH, &["refresh"]);
    terminal.wait_for("waiting for http://127.0.0.1:");
    world.sandbox.release();
    terminal.wait_for("Renewed.");
}
