//! `gcauth doctor`: everything that a job needs, one line each.

use std::fs;
use std::net::ToSocketAddrs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use gcauth::{Config, Probe, Session, Status};
use serde_json::{Map, Value, json};

use super::status;
use crate::context::{ConfigFile, Context};
use crate::failure::{Code, Failure, Outcome};
use crate::{ui, when};

/// A certificate with less left is worth a word.
const CERTIFICATE_WARNING_S: i64 = 14 * 86_400;
/// More than this is wrong, although the library learns the server's time from its tokens.
const MOST_DRIFT_S: i64 = 30;

/// What was found out about one thing.
struct Finding {
    name: &'static str,
    is_good: bool,
    text: String,
    /// What to do, where it is not good.
    remedy: String,
    /// The exit code that it is a reason for.
    code: Code,
}

impl Finding {
    fn good(name: &'static str, text: impl Into<String>) -> Self {
        Finding { name, is_good: true, text: text.into(), remedy: String::new(), code: Code::Done }
    }

    fn bad(name: &'static str, code: Code, text: impl Into<String>, remedy: impl Into<String>) -> Self {
        Finding { name, is_good: false, text: text.into(), remedy: remedy.into(), code }
    }

    /// What an error says. Its last part is what to do.
    fn failed(name: &'static str, failure: &Failure) -> Self {
        let (text, remedy) = failure.message.rsplit_once("; ").unwrap_or((&failure.message, ""));
        Finding::bad(name, failure.code, text, remedy)
    }
}

pub fn run(context: &Context) -> Outcome<u8> {
    let mut findings = Vec::new();
    match open(context) {
        Ok((config, session)) => {
            findings.push(about_config(context));
            check_network(context, &session, &mut findings);
            check_session(context, &config, &session, &mut findings);
        }
        Err(failure) => findings.push(Finding::failed("config", &failure)),
    }
    show(context, &findings)?;
    Ok(findings.iter().find(|finding| !finding.is_good).map_or(Code::Done, |finding| finding.code) as u8)
}

fn open(context: &Context) -> Outcome<(Config, Session)> {
    let config = context.config()?;
    let session = context.open_with(config.clone(), context.common.env.as_deref())?;
    Ok((config, session))
}

fn about_config(context: &Context) -> Finding {
    let Some(ConfigFile { path, .. }) = &context.config_file else {
        return Finding::good("config", "built in; there is no file");
    };
    let text = fs::read_to_string(path).unwrap_or_default();
    let keys: Vec<String> =
        serde_json::from_str::<Map<String, Value>>(&text).unwrap_or_default().into_iter().map(|(key, _)| key).collect();
    let keys = if keys.is_empty() { "no keys".to_owned() } else { keys.join(", ") };
    Finding::good("config", format!("{} ({keys})", path.display()))
}

fn check_network(context: &Context, session: &Session, findings: &mut Vec<Finding>) {
    let proxy = match session.proxy() {
        Ok(proxy) => proxy,
        Err(error) => {
            findings.push(Finding::failed("proxy", &error.into()));
            return;
        }
    };
    findings.push(Finding::good("proxy", proxy.clone().unwrap_or_else(|| "none".to_owned())));
    // A proxy knows the server's name, which nobody here has to.
    let (host, port) = host_and_port(proxy.as_deref().unwrap_or(session.host()));
    let name = resolve(&host, port);
    let is_known = name.is_good;
    findings.push(name);
    if !is_known {
        return;
    }
    match context.ui.waiting(session.host(), || session.probe()) {
        Ok(probe) => {
            findings.push(Finding::good("server", format!("{} answers (HTTP {})", session.host(), probe.http_status)));
            findings.push(check_certificates(session, &probe));
            findings.push(check_clock(&probe));
        }
        Err(error) => {
            let name = if error.status() == Status::Tls { "tls" } else { "server" };
            findings.push(Finding::failed(name, &error.into()));
        }
    }
}

fn resolve(host: &str, port: u16) -> Finding {
    match (host, port).to_socket_addrs() {
        Ok(addresses) => {
            let mut addresses: Vec<String> = addresses.map(|address| address.ip().to_string()).collect();
            addresses.dedup();
            Finding::good("name", format!("{host} is {}", addresses.join(", ")))
        }
        Err(error) => Finding::bad(
            "name",
            Code::Network,
            format!("{host} can't be resolved: {error}"),
            "check the host in the config, and this machine's name service (/etc/resolv.conf)",
        ),
    }
}

fn check_certificates(session: &Session, probe: &Probe) -> Finding {
    if !session.host().starts_with("https:") {
        return Finding::good("tls", "not used (plain http)");
    }
    let Some(end) = probe.certificates_end.iter().min().copied() else {
        return Finding::good("tls", "verified");
    };
    let left = end.saturating_sub(when::now());
    let text = format!("chain of {} verified, good until {}", probe.certificates_end.len(), when::date(end));
    // Jobs work until then.
    let soon = if left < CERTIFICATE_WARNING_S { "; that is soon, tell the server's operator" } else { "" };
    Finding::good("tls", format!("{text}{soon}"))
}

fn check_clock(probe: &Probe) -> Finding {
    let Some(date_ms) = probe.date_ms else {
        return Finding::good("clock", "can't be compared, the server does not tell its time");
    };
    // The server tells whole seconds.
    let drift_s = (probe.received_ms - date_ms).div_euclid(1000);
    if drift_s.abs() <= MOST_DRIFT_S {
        return Finding::good("clock", format!("within {} s of the server's", drift_s.abs().max(1)));
    }
    let direction = if drift_s > 0 { "ahead of" } else { "behind" };
    Finding::bad(
        "clock",
        Code::Other,
        format!("{} {direction} the server's", when::span(drift_s)),
        "set this machine's clock, and have NTP keep it",
    )
}

fn check_session(context: &Context, config: &Config, session: &Session, findings: &mut Vec<Finding>) {
    if !config.is_shared() {
        findings.push(Finding::bad(
            "store",
            Code::Other,
            "sessions are kept in the memory of one process, where no other program finds them",
            "remove the key \"store\" from the config, or set it to \"user\"",
        ));
        return;
    }
    let store = check_store(context, config, session);
    let is_usable = store.is_good;
    findings.push(store);
    if is_usable {
        findings.push(about_session(context));
    }
}

fn check_store(context: &Context, config: &Config, session: &Session) -> Finding {
    let looked = session.info().and_then(|info| session.try_store().map(|()| info));
    let info: Value = match looked {
        Ok(info) => serde_json::from_str(info.as_str()).unwrap_or_default(),
        Err(error) => return Finding::failed("store", &error.into()),
    };
    let text = |name: &str| info[name].as_str().unwrap_or_default().to_owned();
    let own = context.surroundings.user_session.own_directory().ok();
    if let Some(path) = own.filter(|path| !config.names_store() && others_can_look(path)) {
        let path = path.display();
        return Finding::bad("store", Code::Store, format!("others can look into {path}"), format!("chmod 700 {path}"));
    }
    let place = Some(text("place")).filter(|place| !place.is_empty()).map(|place| format!(" {place}"));
    let (kind, lock) = (text("store"), text("lock"));
    Finding::good("store", format!("{kind}{}, lock: {lock}; a trial write succeeded", place.unwrap_or_default()))
}

fn others_can_look(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|found| found.mode() & 0o077 != 0)
}

fn about_session(context: &Context) -> Finding {
    let about = match status::look(context) {
        Ok(about) => about,
        Err(failure) => return Finding::failed("session", &failure),
    };
    let user = about["user"].as_str().map(|user| format!("{user}, ")).unwrap_or_default();
    let left = about["expires_in"].as_i64().filter(|left| *left > 0);
    let left = left.map(|left| format!(", token good for {}", when::span(left))).unwrap_or_default();
    let said = about["store"]["last_failure"]["message"].as_str().map(|said| format!(": {said}")).unwrap_or_default();
    let state = format!("{user}{}{left}{said}", about["state"].as_str().unwrap_or_default());
    match about["exit"].as_u64() {
        Some(0) => Finding::good("session", state),
        Some(3) => Finding::bad("session", Code::NotLoggedIn, state, "gcauth login"),
        Some(4) => Finding::bad("session", Code::Refused, state, "gcauth login"),
        _ => Finding::bad("session", Code::Network, state, "see the lines on network and server above"),
    }
}

fn host_and_port(url: &str) -> (String, u16) {
    let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
    let authority = rest.split('/').next().unwrap_or_default();
    let standard = if scheme == "http" { 80 } else { 443 };
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, port.parse().unwrap_or(standard)),
        _ => (authority, standard),
    };
    (host.trim_start_matches('[').trim_end_matches(']').to_owned(), port)
}

fn show(context: &Context, findings: &[Finding]) -> Outcome {
    if context.common.json {
        let list = findings.iter().map(|finding| {
            let mut about = json!({"check": finding.name, "ok": finding.is_good, "text": finding.text});
            if !finding.is_good {
                about["remedy"] = (*finding.remedy).into();
            }
            about
        });
        let is_good = findings.iter().all(|finding| finding.is_good);
        return ui::print_line(&json!({"ok": is_good, "checks": list.collect::<Vec<_>>()}).to_string());
    }
    let lines = findings.iter().map(|finding| {
        let mark = context.ui.mark(if finding.is_good { "✓" } else { "✗" }, finding.is_good);
        let remedy =
            if finding.remedy.is_empty() { String::new() } else { format!("\n          → {}", finding.remedy) };
        format!("{mark} {:<8}{}{remedy}\n", finding.name, finding.text)
    });
    ui::print(&lines.collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_and_ports_are_read_off_urls() {
        for (url, host, port) in [
            ("https://auth.example/api/v1", "auth.example", 443),
            ("http://127.0.0.1:8080/api", "127.0.0.1", 8080),
            ("https://[::1]:8443/x", "::1", 8443),
            ("https://[::1]/x", "::1", 443),
            ("proxy:3128", "proxy", 3128),
        ] {
            assert_eq!(host_and_port(url), (host.to_owned(), port), "{url}");
        }
    }
}
