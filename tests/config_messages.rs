//! What is wrong with a config, in words that say what to do.

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use gcauth::{Config, Error, Session, Status, Surroundings};

fn refused(json: &str) -> Error {
    let error = Config::load(Some(json), &Surroundings::default()).map(drop).expect_err(json);
    assert_eq!(error.status(), Status::Config, "{json}: {error}");
    assert!(!error.message().contains("canary") && !error.message().contains(char::is_control), "{error}");
    error
}

#[track_caller]
fn says(json: &str, words: &[&str]) {
    let error = refused(json);
    for word in words {
        assert!(error.message().contains(word), "{json}: {error}\nlacks {word}");
    }
}

#[test]
fn a_key_in_another_spelling_is_told_the_right_one() {
    for (json, key, right) in [
        (r#"{"TIMEOUT_MS":1}"#, "TIMEOUT_MS", "timeout_ms"),
        (r#"{"timeout-ms":1}"#, "timeout-ms", "timeout_ms"),
        (r#"{"timeoutMs":1}"#, "timeoutMs", "timeout_ms"),
        (r#"{"TimeoutMS":1}"#, "TimeoutMS", "timeout_ms"),
        (r#"{"Env":"prod"}"#, "Env", "env"),
        (r#"{"caFile":"x"}"#, "caFile", "ca_file"),
        (r#"{"login":{"Path":"x"}}"#, "login.Path", "login.path"),
        (r#"{"login":{"fields":{"userName":"x"}}}"#, "login.fields.userName", "login.fields.username"),
        (
            r#"{"refresh":{"fields":{"refreshToken":"x"}}}"#,
            "refresh.fields.refreshToken",
            "refresh.fields.refresh_token",
        ),
        (r#"{"environments":{"a.b":{"HOST":"https://h"}}}"#, "environments.a.b.HOST", "environments.a.b.host"),
        (r#"{"claims":{"projectid":["x"]}}"#, "claims.projectid", "claims.project_id"),
    ] {
        says(json, &[&format!("unknown config key \"{key}\"; write \"{right}\"")]);
    }
}

#[test]
fn a_key_at_another_level_is_told_its_place() {
    for (json, key, right) in [
        (r#"{"host":"https://canary"}"#, "host", "environments.<env>.host"),
        (r#"{"HOST":"https://canary"}"#, "HOST", "environments.<env>.host"),
        (r#"{"base_url":"https://canary"}"#, "base_url", "environments.<env>.host"),
        (r#"{"baseUrl":"https://canary"}"#, "baseUrl", "environments.<env>.host"),
        (r#"{"server":"https://canary"}"#, "server", "environments.<env>.host"),
        (r#"{"login":{"host":"https://canary"}}"#, "login.host", "environments.<env>.host"),
        (r#"{"path":"x"}"#, "path", "\"login.path\" or \"refresh.path\""),
        (r#"{"fields":{}}"#, "fields", "\"login.fields\" or \"refresh.fields\""),
        (r#"{"login_path":"x"}"#, "login_path", "\"login.path\""),
        (r#"{"login.path":"x"}"#, "login.path", "\"login.path\""),
        (r#"{"loginPath":"x"}"#, "loginPath", "\"login.path\""),
        (r#"{"refresh_fields":{}}"#, "refresh_fields", "\"refresh.fields\""),
        (r#"{"login":{"timeout_ms":1}}"#, "login.timeout_ms", "\"timeout_ms\""),
        (r#"{"environments":{"prod":{"ca_file":"x"}}}"#, "environments.prod.ca_file", "\"ca_file\""),
        (r#"{"login":{"username":"canary"}}"#, "login.username", "\"login.fields.username\""),
        (r#"{"token_type":"x"}"#, "token_type", "\"response.token_type\""),
        (r#"{"verify":false}"#, "verify", "\"ca_file\""),
        (r#"{"timeout":1}"#, "timeout", "\"timeout_ms\""),
        (r#"{"retrys":1}"#, "retrys", "\"retries\""),
        (r#"{"stor":"x"}"#, "stor", "\"store\""),
    ] {
        says(json, &[&format!("unknown config key \"{key}\""), right]);
        assert!(!refused(json).message().contains("store_lock"), "{}", refused(json));
    }
}

#[test]
fn what_is_no_setting_is_told_where_it_is_given() {
    for (json, function) in [
        (r#"{"password":"canary"}"#, "gc_auth_login()"),
        (r#"{"username":"canary"}"#, "gc_auth_login()"),
        (r#"{"organization_id":"canary"}"#, "gc_auth_login()"),
        (r#"{"login":{"password":"canary"}}"#, "gc_auth_login()"),
        (r#"{"refreshToken":"canary"}"#, "gc_auth_new()"),
        (r#"{"token":"canary"}"#, "gc_auth_new()"),
    ] {
        says(json, &["unknown config key", "it is given to", function]);
    }
}

#[test]
fn values_of_a_wrong_type_are_told_what_they_are() {
    for (json, words) in [
        (
            r#"{"timeout_ms":"30000"}"#,
            "\"timeout_ms\" must be a whole number from 1 to 2147483647, but is the text \"30000\"; leave out the quotes",
        ),
        (r#"{"timeout_ms":"canary"}"#, "\"timeout_ms\" must be a whole number from 1 to 2147483647, but is text"),
        (r#"{"timeout_ms":true}"#, "but is true"),
        (r#"{"timeout_ms":["canary"]}"#, "but is a list"),
        (r#"{"timeout_ms":0}"#, "from 1 to 2147483647, but is 0"),
        (r#"{"retries":-1}"#, "\"retries\" must be a whole number from 0 to 2147483647, but is -1"),
        (r#"{"retries":1.5}"#, "but is 1.5"),
        (r#"{"timeout_ms":2147483648}"#, "but is 2147483648"),
        (r#"{"env":17}"#, "\"env\" must be a string in quotes, but is a number"),
        (r#"{"proxy":["canary"]}"#, "\"proxy\" must be a string in quotes, but is a list"),
        (r#"{"store":{"file":"canary"}}"#, "\"store\" must be a string in quotes, but is an object"),
        (r#"{"allow_http":"true"}"#, "\"allow_http\" must be true or false, but is text; leave out the quotes"),
        (r#"{"allow_http":"canary"}"#, "\"allow_http\" must be true or false, but is text"),
        (r#"{"allow_http":1}"#, "\"allow_http\" must be true or false, but is a number"),
        (r#"{"login":"canary"}"#, "\"login\" must be an object, {\"path\": …}, but is text"),
        (
            r#"{"environments":{"prod":"https://canary"}}"#,
            "\"environments.prod\" must be an object, {\"host\": …}, but is text",
        ),
        (r#"{"environments":["canary"]}"#, "\"environments\" must be an object, but is a list"),
        (r#"{"claims":{"project_id":"canary"}}"#, "\"claims.project_id\" must be a list of claim names"),
        (r#"{"store":"/canary"}"#, "\"store\" must begin with file: where it is a path"),
        (r#"["canary"]"#, "the config must be a JSON object, {…}, but is a list"),
        (r#""canary""#, "the config must be a JSON object, {…}, but is text"),
    ] {
        says(json, &[words]);
    }
}

#[test]
fn what_is_no_json_is_told_where_and_why() {
    for (text, place, why) in [
        ("{\n  \"env\": \"prod\",\n}", "line 3, column 1", "a comma after the last member"),
        ("{\"a\":[1,]}", "line 1, column 9", "a comma after the last member"),
        ("{\n  // canary\n  \"env\": \"prod\"\n}", "line 2, column 3", "there is a comment, and JSON has none"),
        ("{\"env\": \"prod\" # canary\n}", "line 1, column 16", "there is a comment"),
        ("{\"env\": /* canary */ \"prod\"}", "line 1, column 9", "there is a comment"),
        ("# canary\n{}", "line 1, column 1", "there is a comment"),
        ("{'env': 'canary'}", "line 1, column 2", "straight double quotes"),
        ("{\"env\": 'canary'}", "line 1, column 9", "straight double quotes"),
        ("{\u{201c}env\u{201d}: 1}", "line 1, column 2", "straight double quotes"),
        ("{\"\u{e9}\": \u{201c}canary\u{201d}}", "line 1, column 7", "straight double quotes"),
        ("{env: \"canary\"}", "line 1, column 2", "the name of a member must stand in double quotes"),
        ("env: canary\nstore: memory\n", "line 1, column 1", "must begin with {; YAML, TOML and INI are not read"),
        ("---\nenv: canary\n", "line 1, column", "must begin with {; YAML"),
        ("env = \"canary\"\n", "line 1, column 1", "must begin with {; YAML"),
        ("[gcauth]\nenv = canary\n", "line 1, column 2", "must begin with {; YAML"),
        ("{\"env\" \"canary\"}", "line 1, column 8", "a colon is missing"),
        ("{\"env\": \"canary\" \"store\": \"memory\"}", "line 1, column 18", "a comma or a closing bracket is missing"),
        ("{\"env\": \"canary\"", "line 1, column", "ends too early"),
        ("{\"env\": \"canary", "line 1, column", "ends too early"),
        ("{\"env\": \"canary\n\"}", "line", "a line break or another control character"),
        ("{\"ca_file\": \"C:\\canary\"}", "line 1, column", "a backslash in a text that JSON does not know"),
        ("{\"allow_http\": True}", "line 1, column 16", "true, false and null only"),
        ("{\"ca_file\": None}", "line 1, column 13", "true, false and null only"),
        ("{\"env\": }", "line 1, column 9", "there is no value here"),
        ("{\"env\": canary}", "line 1, column 9", "there is no value here"),
        ("{\"retries\":01}", "line 1, column", "a number that JSON does not know"),
        ("{\"retries\":1}}", "line 1, column 14", "something after the end"),
        ("{\"env\":\"\\ud800\"}", "line 1, column", "stands for no character"),
        (" \n ", "line 2", "it is empty; write {} for the defaults"),
    ] {
        says(text, &["the config is not valid JSON (", place, why]);
    }
}

#[test]
fn a_files_name_in_the_place_of_json() {
    for name in ["/etc/gcauth.json", "gcauth.json", "~/my config/gcauth", "./config", "conf/gcauth.toml", "C:/x.json\n"]
    {
        says(name, &["is the name of a file", name.trim(), "give the file's content", "GCAUTH_CONFIG"]);
    }
    for text in ["redis://u:canary@h/0", "https://u:canary@h/x", "canary"] {
        says(text, &["must begin with {"]);
    }
}

#[test]
fn the_file_that_the_environment_names() {
    let dir = std::env::temp_dir().join(format!("gcauth-config-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    let file = |name: &str, text: &[u8]| {
        let path = dir.join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let secret = file("secret", b"{}");
    std::fs::set_permissions(&secret, std::fs::Permissions::from_mode(0o000)).unwrap();
    let is_root = std::fs::read(&secret).is_ok();
    for (path, words) in [
        (dir.join("missing"), "does not exist; correct its name"),
        (dir.clone(), "is a directory; name the file in it"),
        (file("empty", b" \n"), "is empty; write {} for the defaults"),
        (file("nothing", b""), "is empty; write {} for the defaults"),
        (file("latin", b"{\n\"env\":\"\xe9\"}"), "is not UTF-8 (line 2)"),
        (file("large", &vec![b' '; (1 << 20) + 1]), "is larger than 1 MiB"),
        (file("yaml", b"env: prod\n"), "must begin with {; YAML"),
        (file("name", b"/etc/other.json\n"), "must begin with {"),
        (file("key", b"{\"TIMEOUT_MS\":1}"), "write \"timeout_ms\""),
        (secret, "may not be read by this user"),
        (PathBuf::from("/dev/null/x"), "can't be read"),
    ] {
        if is_root && words.starts_with("may not") {
            continue;
        }
        let mut surroundings = Surroundings::default();
        surroundings.config_file = Some(path.clone());
        let error = Config::load(None, &surroundings).map(drop).expect_err(words);
        assert_eq!(error.status(), Status::Config, "{error}");
        for part in [words, "named by GCAUTH_CONFIG", path.to_str().unwrap()] {
            assert!(error.message().contains(part), "{error} lacks {part}");
        }
    }
    std::fs::remove_dir_all(&dir).unwrap();
}

#[test]
fn an_unknown_environment_is_named_with_those_that_are_known() {
    let more = r#"{"env":"stagin","environments":{"staging":{"host":"https://h"}}}"#;
    for (json, env, named) in [
        (more, None, "stagin"),
        ("{}", Some("Prod"), "Prod"),
        ("{}", Some("no\nsuch"), "no such"),
        (r#"{"env":"x"}"#, None, "x"),
    ] {
        let config = Config::load(Some(json), &Surroundings::default()).unwrap();
        let error = Session::new(config, None, None, env).map(drop).expect_err(named);
        assert_eq!(error.status(), Status::Config);
        assert!(error.message().contains(&format!("unknown env \"{named}\"; the config knows dev, prod")), "{error}");
        assert_eq!(error.message().contains("staging"), json == more, "{error}");
    }
    // What is no name can be a secret.
    let token = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhZGEifQ.c2VjcmV0";
    for (given, secret) in [("https://ada:lovelace@h/", "lovelace"), ("token=lovelace", "lovelace"), (token, "eyJ")] {
        let config = Config::load(Some("{}"), &Surroundings::default()).unwrap();
        let error = Session::new(config, None, None, Some(given)).map(drop).expect_err(given);
        assert!(error.message().starts_with("unknown env ("), "{error}");
        assert!(!error.message().contains(secret), "{error}");
    }
}
