//! What every verb starts from: options, config, session.

use std::path::PathBuf;
use std::sync::Arc;

use gcauth::{Config, LogLevel, Session, Surroundings};

use crate::args::Common;
use crate::failure::{Failure, Outcome};
use crate::ui::{self, Ui};

/// A config file, and how it came to be the one.
#[derive(Clone, Debug)]
pub struct ConfigFile {
    /// Where it is.
    pub path: PathBuf,
    /// What follows its name in a message.
    pub named_by: &'static str,
}

/// Options, environment, and how to talk.
#[derive(Debug)]
pub struct Context {
    /// The options that all verbs have.
    pub common: Common,
    /// What the environment says, with `--session` over it.
    pub surroundings: Surroundings,
    /// The config file, if there is one.
    pub config_file: Option<ConfigFile>,
    /// How to talk.
    pub ui: Ui,
}

impl Context {
    /// By the options and the environment.
    pub fn new(common: Common) -> Self {
        let mut surroundings = Surroundings::from_env();
        if let Some(name) = &common.session {
            surroundings.user_session = surroundings.user_session.named(name);
        }
        let config_file = config_file(&common, &surroundings);
        let ui = Ui::new(common.quiet, common.color);
        Context { common, surroundings, config_file, ui }
    }

    /// The config, with the user's session as the store unless it names another.
    pub fn config(&self) -> Outcome<Config> {
        let config = match &self.config_file {
            Some(ConfigFile { path, named_by }) => Config::from_file(path, named_by, &self.surroundings)?,
            None => Config::load(Some("{}"), &self.surroundings)?,
        };
        let config = config.or_user_store(&self.surroundings.user_session)?;
        Ok(match self.common.timeout {
            Some(timeout) => config.with_timeout(timeout),
            None => config,
        })
    }

    /// The session, not touched yet.
    pub fn open(&self) -> Outcome<Session> {
        let config = self.config()?;
        if !config.is_shared() {
            return Err(Failure::other(
                "the config keeps each session in the memory of one process (\"store\": \"memory\"), where no other \
                 program finds it; remove the key \"store\", or set it to \"user\"",
            ));
        }
        self.open_with(config, self.common.env.as_deref())
    }

    /// A session by this config.
    pub fn open_with(&self, config: Config, env: Option<&str>) -> Outcome<Session> {
        let session = Session::new(config, None, None, env)?;
        let level = match self.common.verbose {
            0 => return Ok(session),
            1 => LogLevel::Information,
            _ => LogLevel::Debug,
        };
        let sink = |level, line: &str| ui::warn(&format!("gcauth: {}: {line}", name_of(level)));
        session.set_log(Some((level, Arc::new(sink))))?;
        Ok(session)
    }
}

fn name_of(level: LogLevel) -> &'static str {
    match level {
        LogLevel::Error => "error",
        LogLevel::Warning => "warning",
        LogLevel::Information => "info",
        LogLevel::Debug => "debug",
    }
}

fn config_file(common: &Common, surroundings: &Surroundings) -> Option<ConfigFile> {
    if let Some(path) = &common.config {
        return Some(ConfigFile { path: path.clone(), named_by: ", named by --config," });
    }
    if let Some(path) = &surroundings.config_file {
        return Some(ConfigFile { path: path.clone(), named_by: ", named by GCAUTH_CONFIG," });
    }
    let absolute = |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let home = absolute("XDG_CONFIG_HOME").or_else(|| absolute("HOME").map(|home| home.join(".config")))?;
    let path = home.join("gcauth/config.json");
    // A link that leads nowhere is a mistake to be told, not a config that is not there.
    path.symlink_metadata().is_ok().then_some(ConfigFile { path, named_by: "" })
}
