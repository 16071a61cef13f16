//! The program: a sandbox that runs until it is ended.

use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use gcauth_sandbox::{Algorithm, BadTls, Options, Sandbox, User, write_file};

/// A stand-in for the authentication server: logins, rotating refresh tokens, signed access tokens, injected faults.
///
/// When it is ready it prints one line with its addresses. The user of the demo is "ada" with the password
/// "lovelace", organization "analytical-engines", projects "genomes" and "exomes".
#[derive(Parser)]
#[command(version, max_term_width = 120)]
struct Arguments {
    /// Port of plain HTTP; 0 takes a free one
    #[arg(long, value_name = "PORT", default_value_t = 0)]
    http_port: u16,

    /// Port of HTTPS; 0 takes a free one
    #[arg(long, value_name = "PORT", default_value_t = 0)]
    https_port: u16,

    /// Directory for certificates and config files [default: a new one below the temporary directory]
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,

    /// How access tokens are signed: RS256, ES256 or EdDSA
    #[arg(long, value_name = "ALG", default_value_t = Algorithm::Rs256)]
    alg: Algorithm,

    /// How long access tokens are good for; fractions are allowed
    #[arg(long, value_name = "SECONDS", default_value_t = 3600.0, value_parser = finite)]
    token_life: f64,

    /// For how long a spent refresh token still gets the answer it got before [default: not at all]
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    grace: Option<Duration>,

    /// max-age of the key set
    #[arg(long, value_name = "SECONDS", default_value_t = 300)]
    jwks_max_age: u32,

    /// One more user: NAME:PASSWORD:ORGANIZATION[:PROJECT,PROJECT...]; may be given repeatedly
    #[arg(long, value_name = "USER")]
    user: Vec<User>,

    /// Also listen with a bad certificate, its address added to the line: expired, not-yet-valid, self-signed,
    /// wrong-host, unknown-issuer; or client-certificate, which wants one of the client; comma-separated
    #[arg(long, value_name = "KINDS", value_delimiter = ',')]
    bad_tls: Vec<BadTls>,

    /// Show what clients send as it is, secrets included, at /sandbox/requests
    #[arg(long)]
    record_bodies: bool,

    /// Name the path for logouts in the config files
    #[arg(long)]
    logout: bool,

    /// Write a line per request to standard error
    #[arg(long)]
    log: bool,

    /// Print how to use it, for people, in place of the line
    #[arg(long)]
    guide: bool,

    /// End when standard input ends
    #[arg(long)]
    exit_with_stdin: bool,

    /// Write the process id to this file
    #[arg(long, value_name = "FILE")]
    pid_file: Option<PathBuf>,
}

fn finite(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(number) if f64::is_finite(number) => Ok(number),
        _ => Err("not a number of seconds".into()),
    }
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "not a number".to_owned())?;
    Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())
}

fn main() -> ExitCode {
    match run(Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("gcauth-sandbox: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: Arguments) -> io::Result<()> {
    let mut users = vec![User::demo()];
    users.extend(arguments.user);
    let accounts = arguments.guide.then(|| users.clone());
    let sandbox = Sandbox::start(Options {
        http_port: arguments.http_port,
        https_port: arguments.https_port,
        dir: arguments.dir,
        algorithm: arguments.alg,
        token_life_s: arguments.token_life,
        grace: arguments.grace,
        jwks_max_age_s: Some(arguments.jwks_max_age),
        users,
        bad_tls: arguments.bad_tls.clone(),
        record_bodies: arguments.record_bodies,
        logout: arguments.logout,
        log: arguments.log,
        ..Options::default()
    })?;
    if let Some(path) = &arguments.pid_file {
        write_file(path, &format!("{}\n", std::process::id()))?;
    }
    match accounts {
        Some(accounts) => guide(&sandbox, &accounts)?,
        None => announce(&sandbox, &arguments.bad_tls)?,
    }
    if arguments.exit_with_stdin {
        let mut rest = [0; 1024];
        while io::stdin().read(&mut rest)? > 0 {}
        return Ok(());
    }
    loop {
        std::thread::park();
    }
}

fn announce(sandbox: &Sandbox, bad_tls: &[BadTls]) -> io::Result<()> {
    let shown = |path: &Path| path.display().to_string();
    let mut line = format!(
        "gcauth-sandbox ready http={} https={} ca={} config={}",
        sandbox.http_url(),
        sandbox.https_url(),
        shown(&sandbox.ca_file()),
        shown(&sandbox.config_file()),
    );
    for bad in bad_tls {
        line.push_str(&format!(" {bad}={}", sandbox.bad_tls_url(*bad)?));
    }
    let mut stdout = io::stdout();
    writeln!(stdout, "{line}")?;
    stdout.flush()
}

fn guide(sandbox: &Sandbox, accounts: &[User]) -> io::Result<()> {
    let control = sandbox.http_url().replace("/api/v1", "/sandbox");
    let mut text = format!(
        "A sandbox stands in for the platform, at {} (and {}).\nIn another terminal:\n\n  export GCAUTH_CONFIG={}\n\n",
        sandbox.https_url(),
        sandbox.http_url(),
        shell_word(&sandbox.config_file().display().to_string()),
    );
    for User { username, password, organization, projects } in accounts {
        let projects: Vec<&str> = projects.iter().map(|project| project.slug.as_str()).collect();
        text.push_str(&format!("user {username}, password {password}, organization {organization}"));
        text.push_str(&format!(", projects: {}\n", projects.join(", ")));
    }
    text.push_str(&format!("\nWhat happened: curl {control}/counters; it can also inject faults, see its README.\n"));
    text.push_str("Ctrl-C ends it.\n");
    let mut stdout = io::stdout();
    stdout.write_all(text.as_bytes())?;
    stdout.flush()
}

fn shell_word(text: &str) -> String {
    if text.chars().all(|c| c.is_ascii_alphanumeric() || "/._-+,:@%".contains(c)) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', "'\\''"))
}
