//! Where `flock` can be relied upon.
#![forbid(unsafe_code)]

use std::path::Path;

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

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

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
