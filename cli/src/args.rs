//! The command line. The build script reads this file too, for completions and man pages: it needs nothing but clap.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum, ValueHint};

/// Log in to Genomcore once, and every tool has a token
///
/// `gcauth login` asks for your password once. From then on programs that use libgcauth find your session, and `gcauth
/// exec` gives a live token to samtools, bcftools, curl, xrootd and others for as long as they run. All programs that
/// share a session share one renewal.
#[derive(Debug, Parser)]
#[command(name = "gcauth", version, arg_required_else_help = true, after_help = EXIT_CODES, max_term_width = 100)]
pub struct Cli {
    /// What all verbs have in common.
    #[command(flatten)]
    pub common: Common,
    /// What to do.
    #[command(subcommand)]
    pub verb: Verb,
}

const EXIT_CODES: &str = "\
Exit codes:
  0  done
  1  anything that is not below
  2  wrong usage
  3  not logged in
  4  refused by the server
  5  network or server out of order
  6  the session's store out of order
  7  the token does not verify
  `gcauth exec` ends with its command's exit code, or 128 + N when signal N ended it.

Environment:
  GCAUTH_CONFIG   the config file, where --config is not given
  GCAUTH_SESSION  the session's name, where --session is not given";

/// Options that every verb takes.
#[derive(Args, Clone, Debug, Default)]
pub struct Common {
    /// Config file [default: $GCAUTH_CONFIG, then $XDG_CONFIG_HOME/gcauth/config.json if it is there]
    #[arg(long, global = true, value_name = "FILE", value_hint = ValueHint::FilePath, help_heading = "Common options")]
    pub config: Option<PathBuf>,
    /// Environment of the platform, one of those in the config
    #[arg(long, global = true, value_name = "NAME", help_heading = "Common options")]
    pub env: Option<String>,
    /// Name of the session, where you need more than one [default: $GCAUTH_SESSION, then "default"]
    #[arg(long, global = true, value_name = "NAME", help_heading = "Common options")]
    pub session: Option<String>,
    /// Write JSON to standard output
    #[arg(long, global = true, help_heading = "Common options")]
    pub json: bool,
    /// Say nothing but errors
    #[arg(short, long, global = true, conflicts_with = "verbose", help_heading = "Common options")]
    pub quiet: bool,
    /// Write the library's log to standard error; twice for every step
    #[arg(short, long, global = true, action = clap::ArgAction::Count, help_heading = "Common options")]
    pub verbose: u8,
    /// Give up after this long, for example 10s
    #[arg(long, global = true, value_name = "TIME", value_parser = positive_time, help_heading = "Common options")]
    pub timeout: Option<Duration>,
    /// Use colours [default: on a terminal, unless NO_COLOR is set]
    #[arg(long, global = true, value_enum, value_name = "WHEN", default_value_t = Color::Auto, hide_default_value = true,
        help_heading = "Common options")]
    pub color: Color,
}

/// When to use colours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Color {
    /// On a terminal, unless `NO_COLOR` is set.
    #[default]
    Auto,
    /// In any case.
    Always,
    /// Not at all.
    Never,
}

/// The verbs.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Log in, and keep the session for all your programs
    ///
    /// Asks for what is missing. The user name, the organization and the project are remembered for the next time; the
    /// password is not kept anywhere, and is never an argument.
    Login(Login),
    /// Show who is logged in, and whether a job would get a token
    ///
    /// The exit code is 0 when a job would get a token, 3 when nobody is logged in, 4 when the server refused the session,
    /// 5 when renewals fail and the token is still valid.
    Status(Status),
    /// Print the access token
    Token(ValidFor),
    /// Print "Bearer TOKEN"
    Bearer(ValidFor),
    /// Print "Authorization: Bearer TOKEN"
    Header(ValidFor),
    /// Print what the token says, or one claim of it; not verified
    Claims(Claims),
    /// Verify the token and print what it says
    Verify(Verify),
    /// Print the number of the token's project
    ProjectId,
    /// Renew the token now, or move the session to another project
    Refresh(Refresh),
    /// Forget the session, for all who share it
    Logout,
    /// Write the token in a form that other tools read
    Export(Export),
    /// Go on with a session that `gcauth export json` wrote on another machine
    Import(Import),
    /// Run a command, and keep its token fresh for as long as it runs
    ///
    /// The command finds HTS_AUTH_LOCATION (samtools, bcftools and all that uses htslib), BEARER_TOKEN_FILE (xrootd, ROOT,
    /// HTCondor, gfal2) and GCAUTH_HEADER_FILE (curl -H "@$GCAUTH_HEADER_FILE") in its environment, and GCAUTH_CONFIG and
    /// GCAUTH_SESSION for programs that use libgcauth. The exit code is the command's; 126 when it can't be run, 127 when
    /// it is not there.
    Exec(Exec),
    /// Keep token files fresh until it is told to end, without a command
    Keep(Keep),
    /// List the sessions that there are
    Sessions,
    /// Check everything that a job needs, and say what to do about what is wrong
    Doctor,
    /// Print the completions for a shell
    Completions(Completions),
    /// Print a man page, as troff
    #[command(hide = true)]
    Man(Man),
}

/// `gcauth login`
#[derive(Args, Debug, Default)]
pub struct Login {
    /// User name [default: that of the last login]
    #[arg(value_name = "USER")]
    pub user: Option<String>,
    /// Organization [default: that of the last login]
    #[arg(short, long)]
    pub organization: Option<String>,
    /// Project, by the name that people use; "" for none [default: that of the last login]
    #[arg(short, long)]
    pub project: Option<String>,
    /// Read the password from standard input
    #[arg(long, group = "password")]
    pub password_stdin: bool,
    /// Read the password from this file descriptor
    #[arg(long, group = "password", value_name = "N")]
    pub password_fd: Option<u32>,
    /// Run a shell command that prints the password
    #[arg(long, group = "password", value_name = "COMMAND", value_hint = ValueHint::CommandString)]
    pub password_command: Option<String>,
    /// Replace another person's session
    #[arg(long)]
    pub force: bool,
}

/// `gcauth status`
#[derive(Args, Debug, Default)]
pub struct Status {
    /// Show it again whenever something has changed, until Ctrl-C
    #[arg(short, long)]
    pub watch: bool,
}

/// `gcauth token`, `bearer` and `header`
#[derive(Args, Debug, Default)]
pub struct ValidFor {
    /// Renew first if the token is good for less than this, for example 10m
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub valid_for: Option<Duration>,
}

/// `gcauth claims`
#[derive(Args, Debug, Default)]
pub struct Claims {
    /// One claim, as a.b for a member of a member
    #[arg(value_name = "CLAIM")]
    pub claim: Option<String>,
}

/// `gcauth verify`
#[derive(Args, Debug, Default)]
pub struct Verify {
    /// Public key: PEM, JWK or JWKS [default: public_key or jwks_url of the config]
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub key: Option<PathBuf>,
}

/// `gcauth refresh`
#[derive(Args, Debug, Default)]
pub struct Refresh {
    /// Move the session to this project, for all who share it
    #[arg(short, long)]
    pub project: Option<String>,
}

/// The forms of `gcauth export`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Form {
    /// JSON for htslib: HTS_AUTH_LOCATION names the file
    Htslib,
    /// The bare token: BEARER_TOKEN_FILE names the file
    Wlcg,
    /// A header file: curl -H @FILE
    Curl,
    /// A config file of curl: curl -K FILE
    Curlrc,
    /// A line for the shell: eval "$(gcauth export env)"
    Env,
    /// The whole session, for gcauth import
    Json,
}

/// `gcauth export`
#[derive(Args, Debug)]
pub struct Export {
    /// What to write
    #[arg(value_enum, value_name = "FORMAT")]
    pub form: Form,
    /// Where to write it, readable for you alone [default: standard output]
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub file: Option<PathBuf>,
}

/// `gcauth import`
#[derive(Args, Debug)]
pub struct Import {
    /// The file, or - for standard input
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub file: PathBuf,
    /// Replace a session that is there
    #[arg(long)]
    pub force: bool,
}

/// `gcauth exec`
#[derive(Args, Debug)]
pub struct Exec {
    /// Keep a file for htslib, and name it by HTS_AUTH_LOCATION
    #[arg(long)]
    pub htslib: bool,
    /// Keep a file for xrootd, ROOT, HTCondor and gfal2, and name it by BEARER_TOKEN_FILE
    #[arg(long)]
    pub wlcg: bool,
    /// Keep a header file for curl, and name it by GCAUTH_HEADER_FILE
    #[arg(long)]
    pub curl: bool,
    /// All of these, as without any
    #[arg(long)]
    pub all: bool,
    /// Keep the token good for at least this long, for uploads that take long
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub valid_for: Option<Duration>,
    /// The command and its arguments
    #[arg(required = true, trailing_var_arg = true, value_name = "COMMAND", value_hint = ValueHint::CommandWithArguments)]
    pub command: Vec<std::ffi::OsString>,
}

/// `gcauth keep`
#[derive(Args, Debug, Default)]
pub struct Keep {
    /// File for htslib (samtools, bcftools)
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub htslib: Option<PathBuf>,
    /// File with the bare token (xrootd, ROOT, HTCondor, gfal2)
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub wlcg: Option<PathBuf>,
    /// Header file for curl -H @FILE
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub curl: Option<PathBuf>,
    /// Keep the token good for at least this long
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub valid_for: Option<Duration>,
}

/// The shells that there are completions for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[allow(missing_docs)]
pub enum Shell {
    Bash,
    Zsh,
    Fish,
}

/// `gcauth completions`
#[derive(Args, Debug)]
pub struct Completions {
    /// The shell
    #[arg(value_enum)]
    pub shell: Shell,
}

/// `gcauth man`
#[derive(Args, Debug, Default)]
pub struct Man {
    /// A verb [default: the command itself]
    pub verb: Option<String>,
    /// Write all pages into this directory instead
    #[arg(long, value_name = "DIRECTORY", conflicts_with = "verb")]
    pub all: Option<PathBuf>,
}

/// A span of time: `90`, `90s`, `10m`, `2h`, `1d`, or several of them (`1h30m`).
pub fn time(text: &str) -> Result<Duration, String> {
    let wrong = || "not a time; write for example 90s, 10m or 1h30m".to_owned();
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return text.parse().map(Duration::from_secs).map_err(|_| wrong());
    }
    let mut total = 0u64;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
        let number: u64 = rest[..digits].parse().map_err(|_| wrong())?;
        rest = &rest[digits..];
        let unit_end = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
        let seconds = match &rest[..unit_end] {
            "s" => 1,
            "m" => 60,
            "h" => 3600,
            "d" => 86_400,
            _ => return Err(wrong()),
        };
        total = number.checked_mul(seconds).and_then(|more| total.checked_add(more)).ok_or_else(wrong)?;
        rest = &rest[unit_end..];
    }
    if text.is_empty() { Err(wrong()) } else { Ok(Duration::from_secs(total)) }
}

fn positive_time(text: &str) -> Result<Duration, String> {
    match time(text)? {
        Duration::ZERO => Err("must be longer than nothing".to_owned()),
        time => Ok(time),
    }
}
