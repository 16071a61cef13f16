//! The store's password from where people keep passwords, since configs are often readable by everybody.
#![forbid(unsafe_code)]

use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use zeroize::Zeroizing;

use super::section::Section;
use super::{Surroundings, clean_path};
use crate::error::Result;
use crate::files;
use crate::secret::Secret;
use crate::store::RedisUrl;

const KEY: &str = "store_password_file";
/// Longer than any password.
const MAX_LEN: usize = 4096;
const ALL_MAY_READ: u32 = 0o004;

/// The URL with its password: its own, or the one in the file that the config names, or that of the environment.
pub(super) fn with_password(mut url: RedisUrl, top: &Section, surroundings: &Surroundings) -> Result<RedisUrl> {
    match top.optional_text(KEY)? {
        Some(_) if url.has_password() => {
            return Err(top.wrong(KEY, "and the URL of \"store\" both give a password; take it out of the URL"));
        }
        Some(path) => url.set_password(read(Path::new(path)).map_err(|why| top.wrong(KEY, &why))?),
        None => {
            if let Some(password) = surroundings.store_password.clone().filter(|_| !url.has_password()) {
                url.set_password(password);
            }
        }
    }
    if url.has_user() && !url.has_password() {
        return Err(top.wrong(
            "store",
            "has a user name without a password; name a file that holds it by \"store_password_file\", or set \
             GCAUTH_STORE_PASSWORD",
        ));
    }
    Ok(url)
}

/// The one line in the file.
fn read(path: &Path) -> std::result::Result<Secret, String> {
    let shown = clean_path(path);
    let failed = |error: std::io::Error| format!("names {shown}, which can't be read: {error}");
    let file = files::open(path).map_err(failed)?;
    let metadata = file.metadata().map_err(failed)?;
    if metadata.is_dir() {
        return Err(format!("names {shown}, which is a directory; name the file in it"));
    }
    if metadata.mode() & ALL_MAY_READ != 0 {
        return Err(format!("names {shown}, which everybody may read; take that right away (chmod 600)"));
    }
    let mut bytes = Zeroizing::new(Vec::with_capacity(MAX_LEN + 1));
    file.take(MAX_LEN as u64 + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() > MAX_LEN {
        return Err(format!("names {shown}, which is longer than any password"));
    }
    let text = std::str::from_utf8(&bytes).map_err(|_| format!("names {shown}, which is not UTF-8"))?;
    let line = text.strip_prefix('\u{feff}').unwrap_or(text).trim_end_matches(['\r', '\n']);
    match line {
        "" => Err(format!("names {shown}, which is empty; write the password into it")),
        line if line.contains(char::is_control) => {
            Err(format!("names {shown}, which holds more than one line; write the password alone into it"))
        }
        line => Secret::new(line).map_err(|_| format!("names {shown}, for which there is no memory")),
    }
}
