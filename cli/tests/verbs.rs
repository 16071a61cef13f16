//! Every verb, what it prints and where, and its exit codes.

mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt;

use gcauth_sandbox::{Fault, Target, User};
use serde_json::json;
use support::*;

fn world_of_two() -> World {
    let demo = User::demo();
    let other = User { username: "grace".into(), ..demo.clone() };
    World::with(gcauth_sandbox::Options { users: vec![demo, other], ..Default::default() })
}

// Usage.

#[test]
fn wrong_usage_is_code_2() {
    let world = World::new();
    for args in [
        &["nonsense"][..],
        &["login", "--password-stdin", "--password-fd", "3"],
        &["login", "ada", "--password", "lovelace"],
        &["token", "--valid-for", "soon"],
        &["token", "--timeout", "0"],
        &["export", "xml"],
        &["exec"],
        &["keep"],
        &["status", "-q", "-v"],
        &["completions", "tcsh"],
        &["man", "nonsense"],
    ] {
        let outcome = world.run(args);
        assert_eq!((outcome.code, &*outcome.out), (Some(USAGE), ""), "{args:?}: {outcome:?}");
        assert!(!outcome.err.is_empty(), "{args:?}");
    }
    assert_eq!(world.run(&[]).code, Some(USAGE));
}

#[test]
fn help_tells_verbs_and_exit_codes() {
    let world = World::new();
    for args in [&["help"][..], &["--help"], &["-h"]] {
        let help = world.run(args).assert_ok().out;
        for said in ["login", "exec", "doctor", "Exit codes", "not logged in"] {
            assert!(help.contains(said), "{said} is missing in {help}");
        }
    }
    for verb in ["login", "status", "exec", "keep", "export"] {
        assert!(world.run(&["help", verb]).assert_ok().out.contains("Usage: gcauth"), "{verb}");
    }
    assert_eq!(world.run(&["--version"]).assert_ok().line(), concat!("gcauth ", env!("CARGO_PKG_VERSION")));
}

// Login.

#[test]
fn a_login_is_found_by_all_that_follow() {
    let world = World::new();
    let args = ["login", "ada", "-o", "analytical-engines", "-p", "genomes", "--password-stdin"];
    let said = world.run_with_input(&args, "lovelace\n").assert_ok();
    assert_eq!(said.out, "");
    assert!(said.err.contains("Logged in as ada (analytical-engines, project genomes)"), "{said:?}");
    let token = world.run(&["token"]).assert_ok();
    assert!(token.line().starts_with("eyJ"));
    assert_eq!(world.run(&["bearer"]).assert_ok().line(), format!("Bearer {}", token.line()));
    assert_eq!(world.run(&["header"]).assert_ok().line(), format!("Authorization: Bearer {}", token.line()));
    assert_eq!(world.run(&["claims", "sub"]).assert_ok().line(), "ada");
    assert_eq!(world.run(&["project-id"]).assert_ok().line(), "9007199254740993");
    for (path, wanted) in [("", 0o700), ("session", 0o600), ("login.json", 0o600)] {
        assert_eq!(mode(&world.session_dir("default").join(path)), wanted, "{path}");
    }
    let remembered = fs::read_to_string(world.session_dir("default").join("login.json")).unwrap();
    assert!(remembered.contains("genomes") && !remembered.contains(PASSWORD), "{remembered}");
}

#[test]
fn what_the_last_login_was_told_is_remembered_but_the_password() {
    let world = World::new();
    let args = ["login", "ada", "-o", "analytical-engines", "-p", "genomes", "--password-stdin"];
    world.run_with_input(&args, PASSWORD).assert_ok();
    world.run(&["logout"]).assert_ok();
    let again = world.run_with_input(&["login", "--password-stdin", "--json"], PASSWORD).assert_ok();
    let about = again.json();
    assert_eq!((&about["user"], &about["organization"]), (&json!("ada"), &json!("analytical-engines")));
    assert_eq!(about["project"], "genomes");
    // Nothing of it is a guess for somebody else.
    let other = world.run_with_input(&["login", "grace", "--force", "--password-stdin"], PASSWORD);
    other.assert_fails(USAGE, "organization");
    // An empty project is none.
    let none = world.run_with_input(&["login", "-p", "", "--password-stdin", "--json"], PASSWORD).assert_ok();
    assert_eq!(none.json()["project"], json!(null));
}

#[test]
fn passwords_come_from_descriptors_and_commands() {
    let world = World::new();
    let login = ["login", "ada", "-o", "analytical-engines", "-q"];
    let secret = world.home.join("secret");
    fs::write(&secret, "lovelace\n").unwrap();
    let command = format!("cat {}", secret.display());
    world.run(&[&login[..], &["--password-command", &command]].concat()).assert_ok();
    let shell = format!(
        "exec 5<{} && exec {} {} --password-fd 5",
        secret.display(),
        env!("CARGO_BIN_EXE_gcauth"),
        login.join(" ")
    );
    let mut by_descriptor = world.program("bash");
    by_descriptor.args(["-c", &shell]);
    Outcome::of(by_descriptor).assert_ok();

    world.run(&[&login[..], &["--password-command", "exit 3"]].concat()).assert_fails(OTHER, "3");
    world.run(&[&login[..], &["--password-fd", "77"]].concat()).assert_fails(USAGE, "77");
    world.run_with_input(&[&login[..], &["--password-stdin"]].concat(), "").assert_fails(USAGE, "no password");
}

#[test]
fn without_a_terminal_what_is_missing_is_named() {
    let world = World::new();
    for (args, said) in [
        (&["login"][..], "user name"),
        (&["login", "ada"], "organization"),
        (&["login", "ada", "-o", "analytical-engines"], "--password-stdin"),
    ] {
        let mut command = world.program("setsid");
        command.arg("-w").arg(env!("CARGO_BIN_EXE_gcauth")).args(args);
        Outcome::of(command).assert_fails(USAGE, said);
    }
}

#[test]
fn another_persons_session_is_replaced_by_force_only() {
    let world = world_of_two();
    world.login();
    let grace = ["login", "grace", "-o", "analytical-engines", "--password-stdin"];
    let refused = world.run_with_input(&grace, PASSWORD).assert_fails(OTHER, "--force");
    assert!(refused.err.contains("ada is logged in here"), "{refused:?}");
    assert_eq!(world.run(&["claims", "sub"]).assert_ok().line(), "ada");
    world.run_with_input(&[&grace[..], &["--force"]].concat(), PASSWORD).assert_ok();
    assert_eq!(world.run(&["claims", "sub"]).assert_ok().line(), "grace");
    // One's own needs none, and neither does one that is logged out.
    world.run_with_input(&grace, PASSWORD).assert_ok();
    world.run(&["logout"]).assert_ok();
    world.login();
}

#[test]
fn logins_that_fail_say_why_by_their_code() {
    let world = World::new();
    let login = ["login", "ada", "-o", "analytical-engines", "--password-stdin"];
    let refused = world.run_with_input(&login, "wrong-password-canary").assert_fails(REFUSED, "wrong password");
    assert!(!refused.err.contains("canary"), "{refused:?}");
    world.sandbox.order(Fault::status(Target::Login, 500));
    world.run_with_input(&login, PASSWORD).assert_fails(NETWORK, "500");
    world.configure(json!({"environments": {"sandbox": {"host": "http://127.0.0.1:1/"}}}));
    world.run_with_input(&login, PASSWORD).assert_fails(NETWORK, "127.0.0.1:1");
    world.configure(json!({"store": "file:/nowhere/session"}));
    world.run_with_input(&login, PASSWORD).assert_fails(STORE, "/nowhere");
    world.configure(json!({"store": "memory"}));
    world.run_with_input(&login, PASSWORD).assert_fails(OTHER, "\"store\"");
    world.configure(json!({"stor": "user"}));
    let error = world.run_with_input(&login, PASSWORD).assert_fails(OTHER, "\"stor\"");
    assert!(error.err.contains("named by GCAUTH_CONFIG"), "{error:?}");
    assert_eq!(world.run(&["status"]).code, Some(OTHER));
}

#[test]
fn a_password_is_in_no_argument_no_variable_and_no_file() {
    let world = World::new();
    world.login();
    for entry in fs::read_dir(world.session_dir("default")).unwrap() {
        let text = fs::read(entry.unwrap().path()).unwrap();
        assert!(!text.windows(PASSWORD.len()).any(|part| part == PASSWORD.as_bytes()));
    }
    let all = world.run_with_input(&["login", "-vv", "--password-stdin"], PASSWORD).assert_ok();
    assert!(all.err.contains("gcauth: info:") && !all.err.contains(PASSWORD), "{all:?}");
    let token = world.run(&["token"]).assert_ok().line().to_owned();
    let refresh = world.run(&["refresh", "-vv"]).assert_ok();
    assert!(!refresh.err.contains(&token[..30]), "{refresh:?}");
}

// Nobody is logged in.

#[test]
fn without_a_login_it_is_code_3_and_says_what_to_do() {
    let world = World::new();
    for args in [
        &["token"][..],
        &["bearer"],
        &["header", "--valid-for", "10m"],
        &["claims"],
        &["verify"],
        &["project-id"],
        &["refresh"],
        &["export", "wlcg"],
        &["export", "json"],
        &["exec", "--", "true"],
        &["keep", "--wlcg", "file"],
    ] {
        world.run(args).assert_fails(NOT_LOGGED_IN, "gcauth login");
    }
    let status = world.run(&["status", "--json"]);
    assert_eq!((status.code, &status.json()["logged_in"]), (Some(NOT_LOGGED_IN), &json!(false)));
    assert!(world.private_dirs().is_empty());
    world.run(&["logout"]).assert_ok();
}

// The token.

#[test]
fn valid_for_renews_first() {
    let world = World::of_life(3600.0);
    world.login();
    let before = world.run(&["token", "--valid-for", "30m"]).assert_ok().out;
    assert_eq!(world.refreshes(), 0);
    world.sandbox.set_token_life(7200.0);
    // Newer than a minute, it is the newest there is.
    assert_eq!(world.run(&["token", "--valid-for", "1h30m"]).assert_ok().out, before);
    let json = world.run(&["token", "--json"]).assert_ok().json();
    assert_eq!(json["token"], before.trim_end());
    assert!(json["expires_in"].as_i64().unwrap() > 3000);
}

#[test]
fn claims_are_printed_as_they_are() {
    let world = World::new();
    world.login();
    let all = world.run(&["claims"]).assert_ok();
    assert_eq!(all.json()["sub"], "ada");
    assert_eq!(world.run(&["claims", "sub", "--json"]).assert_ok().line(), "\"ada\"");
    world.run(&["claims", "nothing"]).assert_fails(OTHER, "\"nothing\"");
}

#[test]
fn verification_is_code_7_where_it_fails() {
    let world = World::new();
    world.login();
    let key = world.home.join("key.pem");
    fs::write(&key, world.sandbox.public_key_pem()).unwrap();
    let path = key.to_str().unwrap();
    assert_eq!(world.run(&["verify", "--key", path]).assert_ok().json()["sub"], "ada");
    world.run(&["verify"]).assert_fails(OTHER, "public_key");
    world.configure(json!({"public_key": world.sandbox.public_key_pem()}));
    assert_eq!(world.run(&["verify"]).assert_ok().json()["sub"], "ada");
    for text in ["", " \n", "no key"] {
        fs::write(&key, text).unwrap();
        world.run(&["verify", "--key", path]).assert_fails(VERIFICATION, "key");
    }
    world.sandbox.rotate_keys(false).unwrap();
    fs::write(&key, world.sandbox.public_key_pem()).unwrap();
    world.run(&["verify", "--key", path]).assert_fails(VERIFICATION, "");
    world.run(&["verify", "--key", "/nowhere/key"]).assert_fails(OTHER, "/nowhere/key");
}

#[test]
fn a_refresh_renews_now_and_moves_to_another_project() {
    let world = World::new();
    world.login();
    let before = world.run(&["token"]).out;
    world.run(&["refresh"]).assert_ok();
    assert_ne!(world.run(&["token"]).out, before);
    world.run(&["refresh", "-p", "exomes"]).assert_ok();
    assert_eq!(world.run(&["claims", "project"]).assert_ok().line(), "exomes");
    world.run(&["refresh", "-p", "nonsense"]).assert_fails(REFUSED, "");
    assert_eq!(world.run(&["claims", "project"]).assert_ok().line(), "exomes");
    world.sandbox.order(Fault::status(Target::Refresh, 503));
    world.run(&["refresh"]).assert_fails(NETWORK, "503");
    world.sandbox.end_sessions();
    world.run(&["refresh"]).assert_fails(REFUSED, "gcauth login");
}

#[test]
fn a_logout_is_for_all_who_share_the_session() {
    let world = World::new();
    world.login();
    world.login_as("other");
    let said = world.run(&["logout"]).assert_ok();
    assert_eq!(said.out, "");
    world.run(&["token"]).assert_fails(NOT_LOGGED_IN, "gcauth login");
    world.run(&["token", "--session", "other"]).assert_ok();
}

// Sessions.

#[test]
fn sessions_have_names() {
    let world = World::new();
    assert!(world.run(&["sessions"]).assert_ok().err.contains("gcauth login"));
    world.login();
    world.login_as("work");
    world.run(&["logout", "--session", "work"]).assert_ok();
    let mut by_variable = world.gcauth(&["token"]);
    by_variable.env("GCAUTH_SESSION", "work");
    Outcome::of(by_variable).assert_fails(NOT_LOGGED_IN, "");
    let mut option_wins = world.gcauth(&["token", "--session", "default"]);
    option_wins.env("GCAUTH_SESSION", "work");
    Outcome::of(option_wins).assert_ok();
    let list = world.run(&["sessions", "--json"]).assert_ok().json();
    let about = |at: usize| (list[at]["name"].clone(), list[at]["logged_in"].clone(), list[at]["user"].clone());
    assert_eq!(about(0), (json!("default"), json!(true), json!("ada")));
    assert_eq!(about(1), (json!("work"), json!(false), json!("ada")));
    let table = world.run(&["sessions"]).assert_ok().out;
    assert!(table.contains("default") && table.contains("good for") && table.contains("logged out"), "{table}");
    for name in ["..", "a/b", ""] {
        world.run(&["token", "--session", name]).assert_fails(OTHER, "name of the session");
    }
}

#[test]
fn status_says_whether_a_job_would_get_a_token() {
    let world = World::of_life(3600.0);
    world.login();
    let good = world.run(&["status"]).assert_ok();
    for said in ["default: good", "ada (analytical-engines)", "sandbox", "good for", "due in", "file", "lock: flock"] {
        assert!(good.out.contains(said), "{said} is missing in {good:?}");
    }
    let json = world.run(&["status", "--json"]).assert_ok().json();
    assert_eq!((&json["exit"], &json["user"], &json["can_renew"]), (&json!(0), &json!("ada"), &json!(true)));
    assert!(json["expires_in"].as_i64().unwrap() > 3000);
    assert_eq!(world.sandbox.counters().requests.refresh, 0, "it does not renew");

    // In the window, and the server fails.
    world.sandbox.set_token_life(6.0);
    world.run(&["refresh"]).assert_ok();
    world.sandbox.order(Fault::status(Target::Refresh, 500).forever());
    wait_until("a renewal fails", || {
        world.run(&["token"]);
        world.sandbox.counters().requests.refresh > 1
    });
    let failing = world.run(&["status", "--json"]);
    assert_eq!(failing.code, Some(NETWORK), "{failing:?}");
    world.sandbox.clear_faults();
    world.sandbox.end_sessions();
    wait_until("the server refuses", || world.run(&["token"]).code == Some(REFUSED));
    assert_eq!(world.run(&["status"]).code, Some(REFUSED));
}

// Export and import.

#[test]
fn each_form_is_what_its_reader_takes() {
    let world = World::new();
    world.login();
    let token = world.run(&["token"]).assert_ok().line().to_owned();
    let export = |form| world.run(&["export", form]).assert_ok();
    assert_eq!(export("htslib").json()["access_token"], *token);
    assert_eq!(export("wlcg").line(), token);
    assert_eq!(export("curl").line(), format!("Authorization: Bearer {token}"));
    assert_eq!(export("curlrc").line(), format!("header = \"Authorization: Bearer {token}\""));
    let variable = export("env");
    assert_eq!(variable.line(), format!("export BEARER_TOKEN='{token}'"));
    assert!(variable.err.contains("can't be renewed"), "{variable:?}");
    assert_eq!(export("json").json()["token"], *token);
    for form in ["htslib", "wlcg", "curl", "curlrc", "env", "json"] {
        let path = world.home.join(form);
        world.run(&["export", form, path.to_str().unwrap()]).assert_ok();
        assert_eq!(mode(&path), 0o600, "{form}");
        assert!(fs::read_to_string(path).unwrap().contains(&token), "{form}");
    }
    world.run(&["export", "wlcg", "/nowhere/file"]).assert_fails(STORE, "/nowhere/file");
}

#[test]
fn what_was_exported_goes_on_elsewhere() {
    let (world, elsewhere) = (World::new(), World::new());
    world.login();
    let json = world.run(&["export", "json"]).assert_ok().out;
    elsewhere.run_with_input(&["import", "-"], &json).assert_fails(OTHER, "give the config it was made with");
    fs::copy(world.config(), elsewhere.config()).unwrap();
    let said = elsewhere.run_with_input(&["import", "-"], &json).assert_ok();
    assert!(said.err.contains("Imported"), "{said:?}");
    assert_eq!(elsewhere.run(&["token"]).assert_ok().out, world.run(&["token"]).assert_ok().out);
    elsewhere.run(&["refresh"]).assert_ok();
    // A session that is there is not lost by accident.
    let file = world.home.join("session.json");
    fs::write(&file, &json).unwrap();
    let path = file.to_str().unwrap();
    elsewhere.run(&["import", path]).assert_fails(OTHER, "--force");
    elsewhere.run(&["import", "--force", path]).assert_ok();
    for text in ["", "{}", "nonsense"] {
        fs::write(&file, text).unwrap();
        elsewhere.run(&["import", "--force", path]).assert_fails(OTHER, "exported session");
    }
    elsewhere.run(&["import", "--force", "/nowhere/file"]).assert_fails(OTHER, "/nowhere/file");
}

// Config.

#[test]
fn the_config_file_is_found_where_it_is_said_to_be() {
    let world = World::new();
    world.login();
    let find = |args: &[&str], set: &[(&str, &str)], unset: &[&str]| {
        let mut command = world.gcauth(args);
        command.envs(set.iter().copied());
        for name in unset {
            command.env_remove(name);
        }
        Outcome::of(command)
    };
    let config = world.config();
    let config = config.to_str().unwrap();
    find(&["token", "--config", config], &[("GCAUTH_CONFIG", "/nowhere")], &[]).assert_ok();
    find(&["token", "--config", "/nowhere"], &[], &[]).assert_fails(OTHER, "/nowhere, named by --config,");
    find(&["token"], &[("GCAUTH_CONFIG", "/nowhere")], &[]).assert_fails(OTHER, "/nowhere, named by GCAUTH_CONFIG,");
    // Without any, the built-in one: another host, where this session was not made.
    find(&["token"], &[], &["GCAUTH_CONFIG"]).assert_fails(OTHER, "");
    fs::create_dir_all(world.home.join(".config/gcauth")).unwrap();
    fs::copy(config, world.home.join(".config/gcauth/config.json")).unwrap();
    find(&["token"], &[], &["GCAUTH_CONFIG"]).assert_ok();
    let xdg = world.home.join("xdg");
    let other = [("XDG_CONFIG_HOME", xdg.to_str().unwrap())];
    find(&["token"], &other, &["GCAUTH_CONFIG"]).assert_fails(OTHER, "");
    world.run(&["token", "--env", "nowhere"]).assert_fails(OTHER, "env");
}

#[test]
fn a_store_of_the_config_wins() {
    let world = World::new();
    let store = world.home.join("store");
    fs::create_dir(&store).unwrap();
    world.configure(json!({"store": format!("file:{}", store.join("session").display())}));
    world.login();
    assert!(store.join("session").exists());
    assert!(!world.session_dir("default").join("session").exists());
    fs::set_permissions(&store, fs::Permissions::from_mode(0o777)).unwrap();
    world.run(&["token"]).assert_fails(STORE, "chmod");
}

#[test]
fn a_timeout_ends_a_call() {
    let world = World::new();
    world.login();
    world.sandbox.order(gcauth_sandbox::Fault::new(
        Target::Refresh,
        gcauth_sandbox::Effect::Hold { at: gcauth_sandbox::Moment::BeforeProcessing },
    ));
    world.run(&["refresh", "--timeout", "1s"]).assert_fails(NETWORK, "");
    world.sandbox.release();
}

// Doctor.

#[test]
fn doctor_finds_all_well() {
    let world = World::new();
    let host = json!({"sandbox": {"host": world.sandbox.https_url()}});
    world.configure(json!({"environments": host, "ca_file": world.sandbox.ca_file()}));
    world.login();
    let outcome = world.run(&["doctor"]).assert_ok();
    assert!(!outcome.out.contains('✗'), "{outcome:?}");
    let json = world.run(&["doctor", "--json"]).assert_ok().json();
    assert_eq!(json["ok"], true);
    let names: Vec<&str> =
        json["checks"].as_array().unwrap().iter().map(|check| check["check"].as_str().unwrap()).collect();
    assert_eq!(names, ["config", "proxy", "name", "server", "tls", "clock", "store", "session"]);
    assert_eq!(world.refreshes(), 0);
}

#[test]
fn doctor_names_what_is_wrong_and_what_to_do() {
    let world = World::new();
    let check = |name: &str, code: i32, said: &str| {
        let outcome = world.run(&["doctor", "--json"]);
        assert_eq!(outcome.code, Some(code), "{outcome:?}");
        let json = outcome.json();
        assert_eq!(json["ok"], false);
        let checks = json["checks"].as_array().unwrap().clone();
        let bad = checks.iter().find(|check| check["ok"] == false).unwrap();
        assert_eq!(bad["check"], name, "{json}");
        assert!(bad.to_string().contains(said), "{said} is missing in {bad}");
        assert!(!bad["remedy"].as_str().unwrap().is_empty(), "{bad}");
    };
    check("session", NOT_LOGGED_IN, "gcauth login");
    world.login();
    world.sandbox.set_clock_offset(3600.0);
    check("clock", OTHER, "behind");
    world.sandbox.set_clock_offset(0.0);
    world.configure(json!({"store": "memory"}));
    check("store", OTHER, "store");
    world.configure(json!({"store": "file:/nowhere/session"}));
    check("store", STORE, "/nowhere");
    world.configure(json!({"environments": {"sandbox": {"host": "http://127.0.0.1:1/"}}}));
    check("server", NETWORK, "refused");
    let expired = world.sandbox.bad_tls_url(gcauth_sandbox::BadTls::Expired).unwrap();
    world.configure(json!({"environments": {"sandbox": {"host": expired}}, "ca_file": world.sandbox.ca_file()}));
    check("tls", NETWORK, "expired");
    world.configure(json!({"environments": {"sandbox": {"host": "https://no-such-host.invalid/"}}}));
    check("name", NETWORK, "no-such-host.invalid");
    world.configure(json!({"retry": 1}));
    check("config", OTHER, "retries");
    world.configure(json!({}));
    fs::set_permissions(world.session_dir("default"), fs::Permissions::from_mode(0o755)).unwrap();
    check("store", STORE, "chmod 700");
}

// Completions and man pages.

#[test]
fn completions_are_good_shell() {
    let world = World::new();
    let bash = world.run(&["completions", "bash"]).assert_ok().out;
    let path = world.home.join("gcauth.bash");
    fs::write(&path, bash).unwrap();
    let mut shell = world.program("bash");
    shell.arg("-n").arg(&path);
    Outcome::of(shell).assert_ok();
    let mut shell = world.program("bash");
    let complete =
        "source \"$1\"; COMP_WORDS=(gcauth lo); COMP_CWORD=1; _gcauth gcauth lo gcauth; echo \"${COMPREPLY[*]}\"";
    shell.args(["-c", complete, "bash"]).arg(&path);
    assert_eq!(Outcome::of(shell).assert_ok().line(), "login logout");
    for shell in ["zsh", "fish"] {
        assert!(world.run(&["completions", shell]).assert_ok().out.contains("valid-for"), "{shell}");
    }
}

#[test]
fn there_is_a_man_page_for_each_verb() {
    let world = World::new();
    world.run(&["man", "--all", world.home.to_str().unwrap()]).assert_ok();
    for page in ["gcauth", "gcauth-login", "gcauth-exec", "gcauth-keep", "gcauth-doctor"] {
        let text = fs::read_to_string(world.home.join(format!("{page}.1"))).unwrap();
        assert!(text.contains(".TH") && text.contains("SYNOPSIS"), "{page}");
    }
    assert!(world.run(&["man", "exec"]).assert_ok().out.contains("AUTH_LOCATION"));
}
