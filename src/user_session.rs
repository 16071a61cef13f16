//! The session of the user who runs the program, the one that `gcauth login` makes: where it lies.
#![forbid(unsafe_code)]

use std::ffi::OsString;
use std::path::PathBuf;

use crate::error::{Error, Result, Status};

/// The session that is meant when nobody names one.
const DEFAULT_NAME: &str = "default";
/// The longest name that every file system takes is 255 bytes; nobody needs as many.
const MAX_NAME_LEN: usize = 128;

/// What the environment says about the user's sessions.
#[derive(Clone, Debug, Default)]
pub struct UserSession {
    /// `XDG_STATE_HOME`.
    state_home: Option<PathBuf>,
    /// `HOME`.
    home: Option<PathBuf>,
    /// `GCAUTH_SESSION`.
    name: Option<OsString>,
}

impl UserSession {
    /// Reads the environment.
    pub(crate) fn from_env() -> Self {
        Self::from_variables(std::env::var_os)
    }

    /// What the variables say that `variable` looks up.
    pub fn from_variables(variable: impl Fn(&'static str) -> Option<OsString>) -> Self {
        // The XDG specification has relative paths ignored; HOME is taken likewise.
        let path = |name| variable(name).map(PathBuf::from).filter(|path| path.is_absolute());
        UserSession {
            state_home: path("XDG_STATE_HOME"),
            home: path("HOME"),
            name: variable("GCAUTH_SESSION").filter(|name| !name.is_empty()),
        }
    }

    /// The same, but for the session `name`.
    #[must_use]
    pub fn named(self, name: &str) -> Self {
        UserSession { name: Some(name.into()), ..self }
    }

    /// The session's name. One that could lead out of the directory is refused.
    pub fn name(&self) -> Result<&str> {
        let wrong = |why: &str| {
            let advice = "set GCAUTH_SESSION to a plain name, for example \"work\"";
            Err(Error::new(Status::Config, format!("the name of the session {why}; {advice}")))
        };
        let Some(name) = &self.name else {
            return Ok(DEFAULT_NAME);
        };
        match name.to_str() {
            None => wrong("is not valid UTF-8"),
            Some("") => wrong("is empty"),
            Some(".." | ".") => wrong("is that of another directory"),
            Some(name) if name.contains('/') => wrong("holds a slash"),
            Some(name) if name.contains(char::is_control) => wrong("holds a control character"),
            Some(name) if name.len() > MAX_NAME_LEN => wrong("is longer than 128 bytes"),
            Some(name) => Ok(name),
        }
    }

    /// The directory that holds a directory for each session: `$XDG_STATE_HOME/gcauth`.
    pub fn directory(&self) -> Result<PathBuf> {
        let state_home = match (&self.state_home, &self.home) {
            (Some(state_home), _) => state_home.clone(),
            (None, Some(home)) => home.join(".local/state"),
            (None, None) => home_of_user()?.join(".local/state"),
        };
        Ok(state_home.join("gcauth"))
    }

    /// The session's own directory.
    pub fn own_directory(&self) -> Result<PathBuf> {
        Ok(self.directory()?.join(self.name()?))
    }

    /// The file that the session is kept in.
    pub fn store(&self) -> Result<PathBuf> {
        Ok(self.own_directory()?.join("session"))
    }
}

/// The home directory that the password database knows.
fn home_of_user() -> Result<PathBuf> {
    let user = nix::unistd::User::from_uid(nix::unistd::geteuid()).ok().flatten();
    user.map(|user| user.dir).filter(|home| home.is_absolute()).ok_or_else(|| {
        Error::new(
            Status::Config,
            "the user's session has no place: HOME is not set, and the password database names no home directory; set \
             XDG_STATE_HOME, or name a file by the config key \"store\"",
        )
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStringExt;

    use super::*;

    fn of(variables: &[(&str, &str)]) -> UserSession {
        let variables: Vec<_> = variables.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
        UserSession::from_variables(move |asked| {
            variables.iter().find(|(name, _)| name == asked).map(|(_, value)| OsString::from(value))
        })
    }

    #[test]
    fn the_place_follows_the_xdg_specification() {
        for (variables, place) in [
            (&[("XDG_STATE_HOME", "/s"), ("HOME", "/h")][..], "/s/gcauth/default/session"),
            (&[("HOME", "/h")], "/h/.local/state/gcauth/default/session"),
            (&[("XDG_STATE_HOME", ""), ("HOME", "/h")], "/h/.local/state/gcauth/default/session"),
            (&[("XDG_STATE_HOME", "relative"), ("HOME", "/h")], "/h/.local/state/gcauth/default/session"),
            (&[("HOME", "/h"), ("GCAUTH_SESSION", "")], "/h/.local/state/gcauth/default/session"),
            (&[("HOME", "/h"), ("GCAUTH_SESSION", "two words")], "/h/.local/state/gcauth/two words/session"),
        ] {
            assert_eq!(of(variables).store().unwrap(), PathBuf::from(place), "{variables:?}");
        }
    }

    #[test]
    fn without_home_the_password_database_is_asked() {
        let known = nix::unistd::User::from_uid(nix::unistd::geteuid()).unwrap().unwrap().dir;
        for variables in [&[][..], &[("HOME", "")], &[("HOME", "relative")]] {
            assert_eq!(of(variables).directory().unwrap(), known.join(".local/state/gcauth"));
        }
    }

    #[test]
    fn names_that_could_leave_the_directory_are_refused() {
        for name in [".", "..", "/", "a/b", "../a", "a/..", "/etc", "a\nb", "a\u{7f}", &"n".repeat(129)] {
            let error = of(&[("HOME", "/h"), ("GCAUTH_SESSION", name)]).store().unwrap_err();
            assert_eq!(error.status(), Status::Config, "{name:?}: {error}");
            assert!(error.message().contains("GCAUTH_SESSION"), "{error}");
            assert!(of(&[("HOME", "/h")]).named(name).store().is_err());
        }
        for name in ["a", "...", "..a", "-", "ü", &"n".repeat(128)] {
            assert_eq!(of(&[("GCAUTH_SESSION", name)]).name().unwrap(), name);
        }
        let latin1 = UserSession { name: Some(OsString::from_vec(b"\xe9".to_vec())), ..of(&[]) };
        assert_eq!(latin1.name().unwrap_err().status(), Status::Config);
        assert_eq!(of(&[]).named("").name().unwrap_err().status(), Status::Config);
    }
}
