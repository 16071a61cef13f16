//! Memory for secrets: pages of their own, which core dumps leave out, and which are wiped before they go.
#![forbid(unsafe_code)]

use std::fmt;

use memmap2::MmapMut;
use zeroize::Zeroize;

/// A buffer of a fixed capacity, filled from its beginning. Without a capacity it takes no memory.
pub(crate) struct Pages {
    map: Option<MmapMut>,
    len: usize,
}

impl Pages {
    /// Without a capacity.
    pub(crate) fn empty() -> Self {
        Pages { map: None, len: 0 }
    }

    /// An empty buffer. None: there is not as much memory.
    pub(crate) fn with_capacity(capacity: usize) -> Option<Self> {
        if capacity == 0 {
            return Some(Self::empty());
        }
        let map = MmapMut::map_anon(capacity).ok()?;
        // A kernel that does not know this still keeps the secret as well as any other memory.
        #[cfg(target_os = "linux")]
        let _ = map.advise(memmap2::Advice::DontDump);
        Some(Pages { map: Some(map), len: 0 })
    }

    /// How many bytes have room.
    pub(crate) fn capacity(&self) -> usize {
        self.map.as_ref().map_or(0, |map| map.len())
    }

    /// Appends `more`; false, and nothing happens, if it has no room.
    pub(crate) fn push(&mut self, more: &[u8]) -> bool {
        if more.is_empty() {
            return true;
        }
        let end = self.len.saturating_add(more.len());
        match self.map.as_mut().and_then(|map| map.get_mut(self.len..end)) {
            Some(room) => room.copy_from_slice(more),
            None => return false,
        }
        self.len = end;
        true
    }

    /// What was appended.
    #[inline]
    pub(crate) fn bytes(&self) -> &[u8] {
        self.map.as_ref().and_then(|map| map.get(..self.len)).unwrap_or_default()
    }
}

impl Drop for Pages {
    fn drop(&mut self) {
        if let Some(used) = self.map.as_mut().and_then(|map| map.get_mut(..self.len)) {
            used.zeroize();
        }
    }
}

impl fmt::Debug for Pages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{} redacted bytes]", self.len)
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
    fn debug_shows_nothing() {
        let mut pages = Pages::with_capacity(6).unwrap();
        assert!(pages.push(b"canary"));
        assert_eq!(format!("{pages:?}"), "[6 redacted bytes]");
    }
}
