//! What is remembered of the last login, for the next one: never the password.

use std::fs::{self, DirBuilder};
use std::io::ErrorKind;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use gcauth::{UserSession, token_file};
use serde_json::{Value, json};

use crate::failure::{Failure, Outcome};

/// The last login.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Remembered {
    /// The user name, as it was typed.
    pub user: Option<String>,
    /// The organization.
    pub organization: Option<String>,
    /// The project.
    pub project: Option<String>,
    /// The environment of the platform.
    pub env: Option<String>,
    /// Whom the token was for: the claim `sub`.
    pub subject: Option<String>,
}

impl Remembered {
    /// What is remembered of this session. Nothing where that can't be read: it is for convenience.
    pub fn load(session: &UserSession) -> Self {
        session.own_directory().map(|directory| Self::load_from(&directory)).unwrap_or_default()
    }

    /// What is remembered in this directory.
    pub fn load_from(directory: &Path) -> Self {
        let text = fs::read_to_string(file(directory)).unwrap_or_default();
        let value: Value = serde_json::from_str(&text).unwrap_or_default();
        let text = |name: &str| value[name].as_str().filter(|text| !text.is_empty()).map(str::to_owned);
        Remembered {
            user: text("user"),
            organization: text("organization"),
            project: text("project"),
            env: text("env"),
            subject: text("subject"),
        }
    }

    /// Remembers it for this session.
    pub fn save(&self, session: &UserSession) -> Outcome {
        let directory = session.own_directory()?;
        let made = DirBuilder::new().recursive(true).mode(0o700).create(&directory);
        match made {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => {
                return Err(Failure::other(format!("can't make {}: {error}", directory.display())));
            }
            _ => {}
        }
        let value = json!({
            "user": self.user,
            "organization": self.organization,
            "project": self.project,
            "env": self.env,
            "subject": self.subject,
        });
        token_file::replace(&file(&directory), format!("{value}\n").as_bytes())?;
        Ok(())
    }
}

fn file(directory: &Path) -> PathBuf {
    directory.join("login.json")
}
