//! Memory for secrets: pages of their own, which core dumps leave out, and which are wiped before they go.
//!
//! Beside `ffi` this is the only place with unsafe code: neither the standard library nor a dependency has such memory.
#![allow(unsafe_code)]

use std::ffi::c_void;
use std::fmt;
use std::ptr::NonNull;

use zeroize::Zeroize;

/// A buffer of a fixed capacity, filled from its beginning. Without a capacity it takes no memory.
pub(crate) struct Pages {
    /// Of a mapping of `capacity` bytes that is only ours; dangling if there are none.
    base: NonNull<u8>,
    capacity: usize,
    len: usize,
}

// SAFETY: the mapping belongs to this value alone, and only `&mut self` writes to it.
unsafe impl Send for Pages {}
// SAFETY: as above.
unsafe impl Sync for Pages {}

impl Pages {
    /// An empty buffer. None: there is not as much memory.
    pub(crate) fn with_capacity(capacity: usize) -> Option<Self> {
        if capacity == 0 {
            return Some(Pages { base: NonNull::dangling(), capacity, len: 0 });
        }
        if isize::try_from(capacity).is_err() {
            return None;
        }
        let (access, kind) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
        // SAFETY: a new mapping, at an address that the kernel picks.
        let mapped = unsafe { libc::mmap(std::ptr::null_mut(), capacity, access, kind, -1, 0) };
        if mapped == libc::MAP_FAILED {
            return None;
        }
        let base = NonNull::new(mapped.cast::<u8>())?;
        // A kernel that does not know this still keeps the secret as well as any other memory.
        #[cfg(any(target_os = "linux", target_os = "android"))]
        // SAFETY: all of the mapping that was just made, and nothing else.
        unsafe {
            libc::madvise(mapped, capacity, libc::MADV_DONTDUMP);
        }
        Some(Pages { base, capacity, len: 0 })
    }

    /// How many bytes have room.
    pub(crate) fn capacity(&self) -> usize {
        self.capacity
    }

    /// Appends `more`; false, and nothing happens, if it has no room.
    pub(crate) fn push(&mut self, more: &[u8]) -> bool {
        if more.len() > self.capacity - self.len {
            return false;
        }
        // SAFETY: there is room for as many bytes behind the first `len`; `more` is not within, since it is borrowed.
        unsafe { self.base.add(self.len).copy_from_nonoverlapping(NonNull::from(more).cast(), more.len()) };
        self.len += more.len();
        true
    }

    /// What was appended.
    #[inline]
    pub(crate) fn bytes(&self) -> &[u8] {
        // SAFETY: the first `len` bytes are ours and written.
        unsafe { std::slice::from_raw_parts(self.base.as_ptr(), self.len) }
    }
}

impl Drop for Pages {
    fn drop(&mut self) {
        if self.capacity == 0 {
            return;
        }
        // SAFETY: the first `len` bytes are ours and written, and nobody else looks at them any more.
        unsafe { std::slice::from_raw_parts_mut(self.base.as_ptr(), self.len) }.zeroize();
        // SAFETY: exactly the mapping that was made, which nobody uses any more.
        unsafe { libc::munmap(self.base.as_ptr().cast::<c_void>(), self.capacity) };
    }
}

impl fmt::Debug for Pages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{} redacted bytes]", self.len)
    }
}

/// Text in such pages.
#[derive(Debug)]
pub(crate) struct Text(Pages);

impl Text {
    /// The parts, one after the other. None: there is not as much memory.
    pub(crate) fn concat(parts: &[&str]) -> Option<Self> {
        let len = parts.iter().try_fold(0usize, |sum, part| sum.checked_add(part.len()))?;
        let mut pages = Pages::with_capacity(len)?;
        parts.iter().all(|part| pages.push(part.as_bytes())).then_some(Text(pages))
    }

    /// The text.
    #[inline]
    pub(crate) fn as_str(&self) -> &str {
        // SAFETY: made of whole strings, and never changed.
        unsafe { std::str::from_utf8_unchecked(self.0.bytes()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the kernel says of the mapping that `address` is in.
    #[cfg(target_os = "linux")]
    fn flags(address: usize) -> String {
        let maps = std::fs::read_to_string("/proc/self/smaps").unwrap();
        let mut is_here = false;
        for line in maps.lines() {
            if let Some((low, high)) = line.split_once(' ').and_then(|(range, _)| range.split_once('-'))
                && let (Ok(low), Ok(high)) = (usize::from_str_radix(low, 16), usize::from_str_radix(high, 16))
            {
                is_here = (low..high).contains(&address);
            } else if let Some(flags) = line.strip_prefix("VmFlags:")
                && is_here
            {
                return format!("{flags} ");
            }
        }
        panic!("no such mapping");
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn core_dumps_leave_them_out() {
        for size in [1, 4096, 1 << 20] {
            let mut pages = Pages::with_capacity(size).unwrap();
            assert!(pages.push(&vec![b'x'; size]));
            let (first, last) = (pages.bytes().as_ptr() as usize, pages.bytes().as_ptr() as usize + size - 1);
            assert!(flags(first).contains(" dd ") && flags(last).contains(" dd "));
        }
        let ordinary = Box::new([1u8; 64]);
        assert!(!flags(ordinary.as_ptr() as usize).contains(" dd "));
    }

    #[test]
    fn what_has_no_room_is_not_taken() {
        let mut pages = Pages::with_capacity(3).unwrap();
        assert!(pages.push(b"ab") && !pages.push(b"cd") && pages.push(b"c"));
        assert_eq!((pages.bytes(), pages.capacity()), (b"abc".as_slice(), 3));
        assert!(Pages::with_capacity(0).unwrap().bytes().is_empty());
        assert!(Pages::with_capacity(usize::MAX).is_none());
        assert!(Pages::with_capacity(isize::MAX as usize).is_none());
    }

    #[test]
    fn text_is_its_parts() {
        assert_eq!(Text::concat(&["Bearer ", "", "ü"]).unwrap().as_str(), "Bearer ü");
        assert_eq!(Text::concat(&[]).unwrap().as_str(), "");
        assert_eq!(format!("{:?}", Text::concat(&["canary"]).unwrap()), "Text([6 redacted bytes])");
    }
}
