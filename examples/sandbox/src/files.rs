//! The directory with the certificates and config files that clients need.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde_json::{Value, json};

use crate::tokens::random_text;

#[derive(Serialize)]
struct Config<'a> {
    env: &'a str,
    environments: Value,
    ca_file: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    logout: Option<Value>,
}

/// A directory of ours; removed when dropped if nobody asked for it by name.
pub(crate) struct Dir {
    path: PathBuf,
    temporary: bool,
    /// Whether config files name the path for logouts.
    names_logout: bool,
}

impl Dir {
    pub(crate) fn open(wanted: Option<&Path>, names_logout: bool) -> io::Result<Self> {
        if let Some(path) = wanted {
            fs::create_dir_all(path)?;
            return Ok(Dir { path: std::path::absolute(path)?, temporary: false, names_logout });
        }
        let path = std::path::absolute(std::env::temp_dir())?.join(format!("gcauth-sandbox-{}", random_text(9)));
        DirBuilder::new().mode(0o700).create(&path)?;
        Ok(Dir { path, temporary: true, names_logout })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn join(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Nothing is left of a directory that nobody asked for by name.
    pub(crate) fn remove_if_temporary(&self) {
        if self.temporary {
            // Nobody is there to hear of a failure.
            let _ = fs::remove_dir_all(&self.path);
        }
    }

    pub(crate) fn write_public(&self, name: &str, text: &str) -> io::Result<()> {
        write(&self.join(name), text, 0o644)
    }

    pub(crate) fn write_private(&self, name: &str, text: &str) -> io::Result<()> {
        write(&self.join(name), text, 0o600)
    }

    /// A config file for the library, with the environment `sandbox`.
    pub(crate) fn write_config(&self, name: &str, base_url: &str) -> io::Result<()> {
        let ca_file = self.join("ca.pem");
        let ca_file = ca_file
            .to_str()
            .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "the directory's name is not UTF-8"))?;
        let environments = json!({ "sandbox": { "host": base_url } });
        let logout = self.names_logout.then(|| json!({ "path": "auth/logout" }));
        let config = serde_json::to_string_pretty(&Config { env: "sandbox", environments, ca_file, logout })?;
        self.write_public(name, &(config + "\n"))
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        self.remove_if_temporary();
    }
}

/// Writes a file that everybody may read, by a temporary file beside it and a rename, so that whoever waits for it
/// never sees half of it.
///
/// # Errors
///
/// When the file or its directory can't be written.
pub fn write_file(path: &Path, text: &str) -> io::Result<()> {
    write(path, text, 0o644)
}

/// By a temporary file and a rename, so that whoever waits for the file never sees half of it.
fn write(path: &Path, text: &str, mode: u32) -> io::Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let temporary = path.with_file_name(name);
    // A file left by somebody else would keep its own mode.
    match fs::remove_file(&temporary) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&temporary)?;
    file.write_all(text.as_bytes())?;
    fs::rename(&temporary, path)
}
