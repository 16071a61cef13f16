//! Where `flock` can be relied upon.
#![forbid(unsafe_code)]

use std::path::Path;
#[cfg(target_os = "linux")]
use std::{
    collections::VecDeque,
    ffi::OsString,
    os::unix::ffi::OsStringExt,
    path::{Component, PathBuf},
};

#[cfg(target_os = "linux")]
use crate::files;

/// Local file systems. Elsewhere `flock` may hold on one host only, or not at all, and no host can find that out alone.
#[cfg(target_os = "linux")]
const LOCAL: [u32; 7] = [
    0xef53,      // ext2, ext3, ext4
    0x5846_5342, // xfs
    0x9123_683e, // btrfs
    0x0102_1994, // tmpfs
    0xf2f5_2010, // f2fs
    0x2fc1_2fc1, // zfs
    0x794c_7630, // overlayfs
];

/// Whether `directory` lies on a file system that is known to keep `flock` for all who see it. What can't be asked is
/// not known.
#[cfg(target_os = "linux")]
pub(super) fn keeps_flock(directory: &Path) -> bool {
    // Magic numbers have 32 bits, whatever the width and the sign of the field.
    nix::sys::statfs::statfs(directory).is_ok_and(|found| LOCAL.contains(&(found.filesystem_type().0 as u32)))
}

/// Whether `directory` lies on a file system that is known to keep `flock` for all who see it.
#[cfg(not(target_os = "linux"))]
pub(super) fn keeps_flock(_directory: &Path) -> bool {
    false
}

/// Names of the same in the list of mounts.
#[cfg(target_os = "linux")]
const LOCAL_NAMES: [&[u8]; 10] =
    [b"ext2", b"ext3", b"ext4", b"xfs", b"btrfs", b"tmpfs", b"f2fs", b"zfs", b"overlay", b"ramfs"];
/// As many links are followed on the way to a file.
#[cfg(target_os = "linux")]
const MOST_LINKS: usize = 40;

/// Whether nothing on the way to `directory`, and nothing in it, waits for another machine. Only what is known to be on
/// this machine is touched to find out: a look at anything else may never end.
#[cfg(target_os = "linux")]
pub(super) fn is_local(directory: &Path) -> bool {
    // Without a list of mounts nothing is known ahead.
    files::read(Path::new("/proc/self/mountinfo"))
        .map_or_else(|_| keeps_flock(directory), |list| leads_nowhere(directory, &list))
}

/// Whether all the way to `directory` lies on local file systems, by the list of mounts.
#[cfg(target_os = "linux")]
fn leads_nowhere(directory: &Path, mounts: &[u8]) -> bool {
    let mounts: Vec<(PathBuf, bool)> = mounts.split(|byte| *byte == b'\n').filter_map(mount).collect();
    let mut rest: VecDeque<OsString> = parts(directory).collect();
    let mut links = 0;
    let mut here = PathBuf::from("/");
    loop {
        // The last that was mounted there is the one that is seen.
        if let Some((_, is_local)) = mounts.iter().rev().find(|(at, _)| *at == here)
            && !is_local
        {
            return false;
        }
        let Some(next) = rest.pop_front() else {
            return true;
        };
        if next == ".." {
            here.pop();
            continue;
        }
        match std::fs::read_link(here.join(&next)) {
            Ok(link) if links < MOST_LINKS => {
                links += 1;
                if link.is_absolute() {
                    here = PathBuf::from("/");
                }
                parts(&link).rev().for_each(|part| rest.push_front(part));
            }
            _ => here.push(next),
        }
    }
}

/// What a path leads through.
#[cfg(target_os = "linux")]
fn parts(path: &Path) -> impl DoubleEndedIterator<Item = OsString> {
    path.components().filter_map(|part| match part {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some("..".into()),
        _ => None,
    })
}

/// Where something is mounted, and whether it is this machine's.
#[cfg(target_os = "linux")]
fn mount(line: &[u8]) -> Option<(PathBuf, bool)> {
    let mut fields = line.split(|byte| *byte == b' ');
    let at = unescaped(fields.nth(4)?);
    let kind = fields.skip_while(|field| *field != b"-").nth(1)?;
    Some((at, LOCAL_NAMES.contains(&kind) || !needs_files(kind)))
}

/// Whether a store can lie on it at all; a look at the kernel's own file systems never waits.
#[cfg(target_os = "linux")]
fn needs_files(kind: &[u8]) -> bool {
    ![b"proc".as_slice(), b"sysfs", b"devtmpfs", b"devpts", b"rootfs"].contains(&kind)
}

/// Blanks in the list are octal numbers.
#[cfg(target_os = "linux")]
fn unescaped(text: &[u8]) -> PathBuf {
    let mut path = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((first, after)) = rest.split_first() {
        let number = after.get(..3).filter(|_| *first == b'\\').and_then(|digits| std::str::from_utf8(digits).ok());
        match number.and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            Some(byte) => {
                path.push(byte);
                rest = &after[3..];
            }
            None => {
                path.push(*first);
                rest = after;
            }
        }
    }
    OsString::from_vec(path).into()
}

/// Whether nothing on the way to `directory` waits for another machine.
#[cfg(not(target_os = "linux"))]
pub(super) fn is_local(_directory: &Path) -> bool {
    false
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn the_way_is_local_or_not_by_its_mounts() {
        let mounts = b"22 1 0:21 / / rw - ext4 /dev/vda rw\n\
            23 22 0:22 / /net rw,relatime shared:3 - nfs4 server:/ rw\n\
            24 22 0:23 / /with\\040blank rw - fuse.sshfs x rw\n\
            25 23 0:24 / /net/local rw - tmpfs tmpfs rw\n\
            26 22 0:25 / /twice rw - tmpfs tmpfs rw\n\
            27 22 0:26 / /twice rw - autofs x rw\n\
            28 22 0:27 / /proc rw - proc proc rw\n";
        for (path, is_local) in [
            ("/", true),
            ("/home/store", true),
            ("/network", true),
            ("/net", false),
            ("/net/deep/er", false),
            // To come there the network file system is asked.
            ("/net/local", false),
            ("/home/../net", false),
            ("/with blank/x", false),
            ("/twice", false),
            ("/proc/1", true),
        ] {
            assert_eq!(leads_nowhere(Path::new(path), mounts), is_local, "{path}");
        }
        let link = std::env::temp_dir().join(format!("gcauth-link-{}", std::process::id()));
        std::os::unix::fs::symlink("/net/x", &link).unwrap();
        let over_a_link = leads_nowhere(&link.join("store"), mounts);
        std::fs::remove_file(&link).unwrap();
        assert!(!over_a_link);
        assert!(is_local(Path::new("/")));
    }

    #[test]
    fn what_is_not_known_is_not_relied_upon() {
        assert!(!keeps_flock(Path::new("/proc")));
        assert!(!keeps_flock(Path::new("/sys")));
        assert!(!keeps_flock(Path::new("/no/such/directory")));
    }

    #[test]
    fn the_numbers_are_those_of_the_kernel() {
        use nix::sys::statfs::*;
        let known = [EXT4_SUPER_MAGIC, XFS_SUPER_MAGIC, BTRFS_SUPER_MAGIC, TMPFS_MAGIC, F2FS_SUPER_MAGIC];
        assert_eq!(known.map(|magic| magic.0 as u32)[..], LOCAL[..5]);
        assert_eq!(OVERLAYFS_SUPER_MAGIC.0 as u32, LOCAL[6]);
    }
}
