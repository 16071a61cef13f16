//! `gcauth exec` and `gcauth keep`: a token that stays fresh, and a command that does not notice.

mod support;

use std::fs;
use std::io::Read;
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::time::Instant;

use gcauth_sandbox::{Fault, Target};
use nix::sys::signal::Signal;
use serde_json::{Value, json};
use support::*;

/// Lives that tests with real time work with; the window is a third of it.
const LIFE_S: f64 = 6.0;

fn exec(world: &World, script: &str) -> Outcome {
    world.run(&["exec", "--", "sh", "-c", script])
}

/// Starts it, and waits until it has printed a line.
fn start(world: &World, args: &[&str]) -> Child {
    let mut command = world.gcauth(args);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("it starts");
    let mut byte = [0];
    child.stdout.as_mut().unwrap().read_exact(&mut byte).expect("a line");
    child
}

fn end(child: Child) -> Outcome {
    Outcome::from(child.wait_with_output().expect("it ends"))
}

#[test]
fn the_command_finds_files_and_the_session() {
    let world = World::new();
    world.login();
    let token = world.run(&["token"]).assert_ok().line().to_owned();
    let script = r#"cat "$HTS_AUTH_LOCATION"; echo; cat "$BEARER_TOKEN_FILE"; echo; cat "$GCAUTH_HEADER_FILE"
        echo "$GCAUTH_SESSION"; stat -c %a "$HTS_AUTH_LOCATION" "$BEARER_TOKEN_FILE" "$GCAUTH_HEADER_FILE"
        stat -c %a "$(dirname "$HTS_AUTH_LOCATION")""#;
    let outcome = exec(&world, script).assert_ok();
    let lines: Vec<&str> = outcome.out.lines().collect();
    let htslib: Value = serde_json::from_str(lines[0]).unwrap();
    assert_eq!((&htslib["access_token"], &htslib["token_type"]), (&json!(token), &json!("Bearer")));
    assert_eq!(htslib["expires_in"], 360);
    assert_eq!(lines[1..3], [token.clone(), format!("Authorization: Bearer {token}")]);
    assert_eq!(lines[3..], ["default", "600", "600", "600", "700"]);
    assert!(world.private_dirs().is_empty(), "nothing is left");
    assert_eq!(outcome.err, "");
}

#[test]
fn programs_that_use_the_library_share_the_session() {
    let world = World::new();
    world.login_as("work");
    let token = world.run(&["token", "--session", "work"]).assert_ok().out;
    let gcauth = env!("CARGO_BIN_EXE_gcauth");
    // The library itself has no default store: what it is told is complete.
    let script = format!("grep -o '\"store\":\"user\"' \"$GCAUTH_CONFIG\"; {gcauth} token");
    let found = world.run(&["exec", "--session", "work", "--", "sh", "-c", &script]).assert_ok();
    assert_eq!(found.out, format!("\"store\":\"user\"\n{token}"));
    // A config that is complete is handed on as it is.
    world.configure(json!({"store": "user"}));
    let found = world.run(&["exec", "--session", "work", "--", "sh", "-c", "echo $GCAUTH_CONFIG"]).assert_ok();
    assert_eq!(found.line(), world.config().to_str().unwrap());
}

#[test]
fn only_what_is_asked_for_is_set() {
    let world = World::new();
    world.login();
    let names = |args: &[&str]| {
        let script =
            "env | grep -o -E '^(HTS_AUTH_LOCATION|BEARER_TOKEN|BEARER_TOKEN_FILE|GCAUTH_HEADER_FILE)=' | sort";
        let mut command = world.gcauth(&[&["exec"], args, &["--", "sh", "-c", script]].concat());
        // A token that somebody set goes before a file.
        command.env("BEARER_TOKEN", "stale");
        Outcome::of(command).assert_ok().out.replace("=\n", " ")
    };
    assert_eq!(names(&["--htslib"]), "BEARER_TOKEN HTS_AUTH_LOCATION ");
    assert_eq!(names(&["--wlcg"]), "BEARER_TOKEN_FILE ");
    assert_eq!(names(&["--curl", "--htslib"]), "BEARER_TOKEN GCAUTH_HEADER_FILE HTS_AUTH_LOCATION ");
    for args in [&[][..], &["--all"], &["--all", "--curl"]] {
        assert_eq!(names(args), "BEARER_TOKEN_FILE GCAUTH_HEADER_FILE HTS_AUTH_LOCATION ");
    }
}

#[test]
fn the_exit_code_is_the_commands() {
    let world = World::new();
    world.login();
    for (script, code) in
        [("exit 0", 0), ("exit 7", 7), ("exit 255", 255), ("kill -TERM $$", 143), ("kill -KILL $$", 137)]
    {
        assert_eq!(exec(&world, script).code, Some(code), "{script}");
    }
    world.run(&["exec", "--", "no-such-command"]).assert_fails(127, "no-such-command");
    world.run(&["exec", "--", "/etc/passwd"]).assert_fails(126, "/etc/passwd");
    world.run(&["exec", "--", "/"]).assert_fails(126, "/");
    // A script that does not say what runs it.
    let script = world.home.join("script");
    fs::write(&script, "echo \"$1\"\n").unwrap();
    fs::set_permissions(&script, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    assert_eq!(world.run(&["exec", script.to_str().unwrap(), "said"]).assert_ok().line(), "said");
    assert!(world.private_dirs().is_empty());
}

#[test]
fn the_command_has_its_streams_its_signals_and_its_options() {
    let world = World::new();
    world.login();
    assert_eq!(world.run_with_input(&["exec", "--", "cat"], "through").assert_ok().out, "through");
    assert_eq!(world.run(&["exec", "--", "echo", "--json", "-q"]).assert_ok().line(), "--json -q");
    assert_eq!(world.run(&["exec", "echo", "--json"]).assert_ok().line(), "--json");
    let state = exec(&world, "grep -E 'SigBlk|SigIgn' /proc/self/status").assert_ok().out;
    let blocked = state.lines().find(|line| line.starts_with("SigBlk")).unwrap();
    assert!(blocked.ends_with("\t0000000000000000"), "{state}");
    // A closed pipe ends it, as it ends others.
    let ignored = state.lines().find(|line| line.starts_with("SigIgn")).unwrap();
    let ignored = u64::from_str_radix(ignored.split('\t').nth(1).unwrap(), 16).unwrap();
    assert_eq!(ignored & 1 << (Signal::SIGPIPE as i32 - 1), 0, "{state}");
}

#[test]
fn signals_are_passed_on() {
    let world = World::new();
    world.login();
    for sent in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP, Signal::SIGQUIT, Signal::SIGUSR1, Signal::SIGUSR2] {
        let name = sent.as_str().trim_start_matches("SIG");
        // Bash ignores some in what it starts in the background; a trap of its own it has here.
        let script = format!("trap 'echo got {name}; exit 9' {name}; echo; while :; do sleep 0.05; done");
        let child = start(&world, &["exec", "--", "bash", "-c", &script]);
        signal(&child, sent);
        let outcome = end(child);
        assert_eq!((outcome.code, outcome.out.trim()), (Some(9), &*format!("got {name}")), "{outcome:?}");
    }
    // One that does not mind ends it, and us with its code.
    let child = start(&world, &["exec", "--", "sh", "-c", "echo; exec sleep 1000"]);
    signal(&child, Signal::SIGTERM);
    assert_eq!(end(child).code, Some(143));
    assert!(world.private_dirs().is_empty());
}

#[test]
fn one_that_is_killed_leaves_nothing_that_harms_and_the_next_cleans_up() {
    let world = World::new();
    world.login();
    let mut child = start(&world, &["exec", "--", "sh", "-c", "echo; echo $$ >\"$HOME/pid\"; exec sleep 1000"]);
    wait_until("the command has written its pid", || {
        fs::read_to_string(world.home.join("pid")).is_ok_and(|text| text.ends_with('\n'))
    });
    signal(&child, Signal::SIGKILL);
    child.wait().unwrap();
    let left = world.private_dirs();
    assert_eq!(left.len(), 1);
    assert_eq!(mode(&left[0]), 0o700);
    assert!(fs::read_dir(&left[0]).unwrap().all(|entry| mode(&entry.unwrap().path()) == 0o600));
    // The command lives, and may read.
    exec(&world, "true").assert_ok();
    assert_eq!(world.private_dirs(), left);
    let pid: i32 = fs::read_to_string(world.home.join("pid")).unwrap().trim().parse().unwrap();
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), Signal::SIGKILL).unwrap();
    wait_until("the leftovers are removed", || {
        exec(&world, "true").assert_ok();
        world.private_dirs().is_empty()
    });
}

#[test]
fn a_private_place_that_is_not_private_is_refused() {
    let world = World::new();
    world.login();
    let base = world.home.join(format!("tmp/gcauth-{}", nix::unistd::geteuid()));
    fs::create_dir(&base).unwrap();
    fs::set_permissions(&base, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    world.run(&["exec", "--", "true"]).assert_fails(OTHER, base.to_str().unwrap());
    fs::remove_dir(&base).unwrap();
    std::os::unix::fs::symlink(&world.home, &base).unwrap();
    world.run(&["exec", "--", "true"]).assert_fails(OTHER, base.to_str().unwrap());
    // The directory of the user's run goes before.
    let run = world.home.join("run");
    fs::create_dir(&run).unwrap();
    fs::set_permissions(&run, std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
    let mut command = world.gcauth(&["exec", "--", "sh", "-c", "echo \"$BEARER_TOKEN_FILE\""]);
    command.env("XDG_RUNTIME_DIR", &run);
    assert!(Outcome::of(command).assert_ok().out.starts_with(run.to_str().unwrap()));
}

/// A command that sends what the files hold to the server, again and again, until a file is there.
fn sender(world: &World) -> (String, PathBuf) {
    let stop = world.home.join("stop");
    let url = format!("{}/me", world.sandbox.http_url());
    let script = format!(
        r#"echo; while [ ! -e {stop} ]; do
            curl -s -o /dev/null -w '%{{http_code}}\n' -H "@$GCAUTH_HEADER_FILE" {url}
            curl -s -o /dev/null -w '%{{http_code}}\n' -H "Authorization: Bearer $(cat "$BEARER_TOKEN_FILE")" {url}
            sleep 0.2
        done"#,
        stop = stop.display()
    );
    (script, stop)
}

#[test]
fn the_token_stays_fresh_over_many_lives_with_one_renewal_each() {
    let world = World::of_life(LIFE_S);
    world.login();
    let (script, stop) = sender(&world);
    let child = start(&world, &["exec", "--", "bash", "-c", &script]);
    wait_until("four renewals", || world.refreshes() >= 4);
    fs::write(stop, "").unwrap();
    let outcome = end(child);
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    assert!(outcome.out.lines().filter(|line| !line.is_empty()).all(|line| line == "200"), "{outcome:?}");
    assert!(world.sandbox.counters().resource_ok > 20);
    assert_eq!(world.sandbox.counters().reuses, 0);
}

#[test]
fn a_failing_server_is_told_of_once_and_got_over() {
    let world = World::of_life(LIFE_S);
    world.login();
    let (script, stop) = sender(&world);
    let child = start(&world, &["exec", "--", "bash", "-c", &script]);
    world.sandbox.order(Fault::status(Target::Refresh, 500).forever());
    let refused = || world.sandbox.counters().resource_refused;
    wait_until("the token has expired", || refused() > 0);
    world.sandbox.clear_faults();
    let before = world.sandbox.counters().resource_ok;
    wait_until("there is a token again", || world.sandbox.counters().resource_ok > before + 5);
    fs::write(stop, "").unwrap();
    let outcome = end(child);
    assert_eq!(outcome.code, Some(0));
    assert_eq!(outcome.err.matches("can't be kept fresh").count(), 1, "{outcome:?}");
    assert!(outcome.err.contains("fresh again"), "{outcome:?}");
}

#[test]
fn valid_for_keeps_more_than_the_library_would() {
    let world = World::of_life(60.0);
    world.login();
    // Tokens live 60 s: half of that can be had at any time, and a renewal comes sooner than in the last third.
    let child = start(&world, &["exec", "--valid-for", "10m", "--", "sh", "-c", "echo; exec sleep 1000"]);
    wait_until("a renewal ahead of time", || world.refreshes() >= 1);
    signal(&child, Signal::SIGTERM);
    let outcome = end(child);
    assert!(outcome.err.contains("live no longer than 60 s"), "{outcome:?}");
}

#[test]
fn two_hundred_at_once_share_one_renewal_per_life() {
    let life_s = 15.0;
    let world = World::of_life(life_s);
    world.login();
    let began = Instant::now();
    let children: Vec<Child> = (0..200)
        .map(|_| {
            let script =
                "a=$(cat \"$BEARER_TOKEN_FILE\"); sleep 16; b=$(cat \"$BEARER_TOKEN_FILE\"); [ \"$a\" != \"$b\" ]";
            let mut command = world.gcauth(&["exec", "--", "bash", "-c", script]);
            command.stdout(Stdio::null()).stderr(Stdio::piped());
            command.spawn().expect("it starts")
        })
        .collect();
    for child in children {
        let outcome = end(child);
        assert_eq!((outcome.code, &*outcome.err), (Some(0), ""));
    }
    let windows = began.elapsed().as_secs_f64() / (life_s * 2.0 / 3.0);
    let counters = world.sandbox.counters();
    assert!(counters.requests.refresh as f64 <= windows + 1.0, "{counters:?} in {windows} windows");
    assert_eq!((counters.reuses, counters.refreshes_refused), (0, 0));
    assert!(world.private_dirs().is_empty());
}

// Keep.

#[test]
fn keep_keeps_files_until_it_is_told_to_end() {
    let world = World::of_life(LIFE_S);
    world.login();
    let socket = world.home.join("notify");
    let service = UnixDatagram::bind(&socket).unwrap();
    service.set_read_timeout(Some(LONG)).unwrap();
    let read = || {
        let mut text = [0; 1000];
        let count = service.recv(&mut text).expect("a notification");
        String::from_utf8(text[..count].to_vec()).unwrap()
    };
    let file = |name: &str| world.home.join(name);
    let mut command = world.gcauth(&["keep", "--htslib", "h", "--wlcg", "w", "--curl", "c"]);
    command.env("NOTIFY_SOCKET", &socket).current_dir(&world.home).stderr(Stdio::piped());
    let child = command.spawn().unwrap();
    assert!(read().contains("READY=1"));
    let first = ["h", "w", "c"].map(|name| {
        assert_eq!(mode(&file(name)), 0o600);
        fs::read_to_string(file(name)).unwrap()
    });
    wait_until("all have changed", || {
        ["h", "w", "c"].into_iter().zip(&first).all(|(name, first)| fs::read_to_string(file(name)).unwrap() != *first)
    });
    // What somebody removes is there again.
    fs::remove_file(file("w")).unwrap();
    wait_until("it is there again", || file("w").exists());
    signal(&child, Signal::SIGTERM);
    assert!(read().contains("STOPPING=1"));
    let outcome = end(child);
    assert_eq!((outcome.code, &*outcome.err), (Some(0), ""));
    // A reader may still be at it.
    assert!(file("h").exists());
}

#[test]
fn keep_says_what_it_can_not_write() {
    let world = World::new();
    world.login();
    world.run(&["keep", "--wlcg", "/nowhere/file"]).assert_fails(STORE, "/nowhere/file");
}
