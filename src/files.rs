//! Files and sockets of a guest in somebody else's process.
#![forbid(unsafe_code)]

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::Path;

use nix::libc;
use nix::sys::resource::{Resource, getrlimit};

/// Descriptors up to this one belong to the host, whether they are open or not.
const STDERR: i32 = 2;

/// Opens a file for reading.
pub(crate) fn open(path: &Path) -> io::Result<File> {
    open_with(OpenOptions::new().read(true), path)
}

/// Opens a file.
pub(crate) fn open_with(options: &OpenOptions, path: &Path) -> io::Result<File> {
    beyond_standard(options.open(path)?)
}

/// The text of a file.
pub(crate) fn read_to_string(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    open(path)?.read_to_string(&mut text)?;
    Ok(text)
}

/// What a file holds.
pub(crate) fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open(path)?.read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The same under a descriptor above 2. Where the host has closed one of the first three, the system gives its number to
/// the next file, and the host's messages would go there.
pub(crate) fn beyond_standard<T: Into<OwnedFd> + From<OwnedFd>>(file: T) -> io::Result<T> {
    let descriptor: OwnedFd = file.into();
    if descriptor.as_raw_fd() > STDERR {
        return Ok(descriptor.into());
    }
    // A clone never gets one of the first three.
    Ok(descriptor.as_fd().try_clone_to_owned()?.into())
}

/// Fails where a file of this size would be larger than this process may write: the write would kill the host (SIGXFSZ).
pub(crate) fn check_size(size: usize) -> io::Result<()> {
    let (most, _) = getrlimit(Resource::RLIMIT_FSIZE)?;
    match u64::try_from(size) {
        Ok(size) if size <= most => Ok(()),
        _ => Err(io::Error::from_raw_os_error(libc::EFBIG)),
    }
}
