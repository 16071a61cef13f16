//! The token in a file, as other people's tools read it.
#![forbid(unsafe_code)]

use std::fs::{self, OpenOptions, Permissions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use crate::error::{Error, Result, Status};
use crate::files::{self, check_size, open_with};
use crate::random;
use crate::secret::SecretBytes;
use crate::session::{Current, Session};
use crate::wiped_json::{Member, write_object};

/// Only the user may read a token.
const MODE: u32 = 0o600;
/// htslib reads the file again at an open or a seek when a minute or less is left of what the file says.
const READ_AGAIN_S: i64 = 60;
/// Readers come back at least every five minutes: the file is renewed ahead of time by more than that.
const LONGEST_S: i64 = 360;
/// With less, htslib would read the file at every seek.
const SHORTEST_S: i64 = READ_AGAIN_S + 1;

/// How a file holds the token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Format {
    /// JSON for samtools, bcftools and whatever else uses htslib: `HTS_AUTH_LOCATION` names it.
    Htslib,
    /// The bare token, by the WLCG's bearer token discovery: `BEARER_TOKEN_FILE` names it.
    Wlcg,
    /// An `Authorization` header for `curl -H @FILE`.
    Curl,
}

impl Format {
    /// All there are.
    pub const ALL: [Format; 3] = [Format::Htslib, Format::Wlcg, Format::Curl];

    /// The name that [`Format::from_str`] knows.
    pub const fn name(self) -> &'static str {
        match self {
            Format::Htslib => "htslib",
            Format::Wlcg => "wlcg",
            Format::Curl => "curl",
        }
    }
}

impl FromStr for Format {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        Format::ALL.into_iter().find(|format| format.name() == name).ok_or_else(|| {
            Error::new(
                Status::InvalidArgument,
                "unknown format of a token file; the known ones are htslib, wlcg and curl",
            )
        })
    }
}

/// Writes the session's token to `path`, renewed if it is time to, and gives back what was written. Readers find the old
/// file or the new one, never a part of one; only the user can read it.
pub fn write(session: &Session, path: &Path, format: Format) -> Result<Current> {
    let current = session.bearer()?;
    write_current(session, &current, path, format)?;
    Ok(current)
}

/// Writes a token that the session has handed out.
pub fn write_current(session: &Session, current: &Current, path: &Path, format: Format) -> Result<()> {
    replace(path, content(session, current, format)?.expose())
}

/// What a file holds for the token `current` of `session`.
pub fn content(session: &Session, current: &Current, format: Format) -> Result<SecretBytes> {
    let token = current.token()?;
    let mut content = SecretBytes::with_capacity(token.len().saturating_add(128))?;
    match format {
        Format::Htslib => {
            return write_object(&[
                ("access_token", Member::Text(token)),
                ("token_type", Member::Text("Bearer")),
                ("expires_in", Member::Signed(expires_in(session.seconds_left(current)))),
            ]);
        }
        Format::Wlcg => content.push(token.as_bytes())?,
        Format::Curl => {
            content.push(b"Authorization: Bearer ")?;
            content.push(token.as_bytes())?;
            content.push(b"\n")?;
        }
    }
    Ok(content)
}

/// What htslib counts from when it reads, not from when we write: the file must be fresh for that long.
fn expires_in(seconds_left: Option<i64>) -> i64 {
    seconds_left.map_or(LONGEST_S, |left| left.saturating_sub(READ_AGAIN_S).clamp(SHORTEST_S, LONGEST_S))
}

/// Puts a file with this content in the place of `path`, at once and for good.
pub fn replace(path: &Path, content: &[u8]) -> Result<()> {
    if path.file_name().is_none() {
        return Err(Error::new(Status::InvalidArgument, format!("{} names no file", path.display())));
    }
    // To put a file in the place of a terminal, a pipe or /dev/null would be no service.
    if fs::symlink_metadata(path).is_ok_and(|found| !found.is_file() && !found.is_symlink()) {
        let message = format!("{} is not a regular file; name one, or a path where there is none", path.display());
        return Err(Error::new(Status::InvalidArgument, message));
    }
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let draft = Draft(directory.join(format!(".gcauth.{:016x}.tmp", random::number())));
    draft.fill(content).and_then(|()| fs::rename(&draft.0, path)).map_err(|error| failed(path, &error))?;
    // The file is there for all who look. Whether its name outlives a power cut is for the next start to see.
    let _ = files::open(directory).and_then(|directory| directory.sync_all());
    Ok(())
}

/// A file that goes away unless it gets another name.
struct Draft(PathBuf);

impl Draft {
    fn fill(&self, content: &[u8]) -> io::Result<()> {
        check_size(content.len())?;
        let mut file = open_with(OpenOptions::new().write(true).create_new(true).mode(MODE), &self.0)?;
        // The umask may have taken even the user's own rights.
        file.set_permissions(Permissions::from_mode(MODE))?;
        file.write_all(content)?;
        file.sync_all()
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

fn failed(path: &Path, error: &io::Error) -> Error {
    let advice = match error.kind() {
        ErrorKind::NotFound | ErrorKind::NotADirectory => "make its directory first",
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => "name a file in a directory of your own",
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => "make room there",
        ErrorKind::FileTooLarge => "let this process write larger files (ulimit -f)",
        _ => "name another file",
    };
    Error::new(Status::Store, format!("can't write the token file {}: {error}; {advice}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readers_come_back_in_time_and_not_all_the_time() {
        for (left, said) in [
            (Some(3600), 360),
            (Some(421), 360),
            (Some(420), 360),
            (Some(419), 359),
            (Some(122), 62),
            (Some(121), 61),
            (Some(120), 61),
            (Some(1), 61),
            (Some(-5), 61),
            (Some(i64::MIN), 61),
            (Some(i64::MAX), 360),
            (None, 360),
        ] {
            assert_eq!(expires_in(left), said, "{left:?}");
        }
    }

    #[test]
    fn formats_have_names() {
        for format in Format::ALL {
            assert_eq!(format.name().parse::<Format>().unwrap(), format);
        }
        for name in ["", "HTSLIB", "json", "curl "] {
            assert_eq!(name.parse::<Format>().unwrap_err().status(), Status::InvalidArgument);
        }
    }
}
