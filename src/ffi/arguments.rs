//! Raw pointers in and out, checked by the rules of the header. What callers promise there (strings end in a NUL,
//! buffers are as large as they say, handles are alive) is what each `unsafe` here relies on.

use std::ffi::{CStr, c_char};
use std::ptr::NonNull;

use super::handle::gc_auth_t;
use crate::error::{Error, Result, Status};
use crate::session::Session;

/// The session behind a handle.
#[inline]
pub(super) unsafe fn session<'a>(auth: *const gc_auth_t) -> Result<&'a Session> {
    // SAFETY: a handle that is not NULL is alive.
    match unsafe { auth.as_ref() } {
        Some(auth) => Ok(&auth.session),
        None => Err(is_null("auth")),
    }
}

/// Text that may be absent: NULL and the empty string are.
pub(super) unsafe fn optional<'a>(name: &str, text: *const c_char) -> Result<Option<&'a str>> {
    if text.is_null() {
        return Ok(None);
    }
    // SAFETY: a string that is not NULL ends in a NUL, and outlives the call.
    match unsafe { CStr::from_ptr(text) }.to_str() {
        Ok("") => Ok(None),
        Ok(text) => Ok(Some(text)),
        Err(_) => Err(Error::new(Status::InvalidUtf8, format!("{name} is not valid UTF-8"))),
    }
}

/// Text that must be there.
pub(super) unsafe fn required<'a>(name: &str, text: *const c_char) -> Result<&'a str> {
    if text.is_null() {
        return Err(is_null(name));
    }
    // SAFETY: as in optional().
    unsafe { optional(name, text) }?.ok_or_else(|| Error::new(Status::InvalidArgument, format!("{name} is empty")))
}

/// Where a value goes; must not be NULL.
pub(super) fn target<T>(name: &str, out: *mut T) -> Result<NonNull<T>> {
    NonNull::new(out).ok_or_else(|| is_null(name))
}

fn is_null(name: &str) -> Error {
    Error::new(Status::InvalidArgument, format!("{name} is NULL"))
}

/// The caller's buffer for text, and where its size goes.
pub(super) struct TextOut {
    buf: Option<NonNull<u8>>,
    buf_size: usize,
    out_size: Option<NonNull<usize>>,
}

impl TextOut {
    /// Checks the three arguments before any work is done. They must stay good for as long as this lives.
    pub(super) unsafe fn new(buf: *mut c_char, buf_size: usize, out_size: *mut usize) -> Result<Self> {
        let out = TextOut { buf: NonNull::new(buf.cast()), buf_size, out_size: NonNull::new(out_size) };
        match (out.buf, out.out_size) {
            (None, _) if buf_size > 0 => Err(Error::new(Status::InvalidArgument, "buf is NULL, but buf_size is not 0")),
            (None, None) => Err(Error::new(Status::InvalidArgument, "a size query needs out_size")),
            _ => Ok(out),
        }
    }

    /// Writes `text` and a NUL, or only the size when it does not fit.
    pub(super) fn write(&self, text: &str) -> Result<()> {
        let size = text.len() + 1;
        let out_size = self.out_size.map_or(std::ptr::null_mut(), NonNull::as_ptr);
        let buf = self.buf.map_or(std::ptr::null_mut(), |buf| buf.as_ptr().cast());
        // SAFETY: whoever made this promised that the pointers are good.
        unsafe {
            if write_if_it_fits(text.as_bytes(), buf, self.buf_size, out_size) {
                return Ok(());
            }
            if !out_size.is_null() {
                out_size.write(size);
            }
        }
        Err(too_small(size))
    }
}

/// Writes `text`, a NUL, and the size if it is asked for; touches nothing when there is too little room.
#[inline]
pub(super) unsafe fn write_if_it_fits(text: &[u8], buf: *mut c_char, buf_size: usize, out_size: *mut usize) -> bool {
    if buf.is_null() || text.len() >= buf_size {
        return false;
    }
    // SAFETY: the caller's buffer holds buf_size bytes and is none of ours, and out_size points to a size_t or is NULL.
    unsafe {
        buf.cast::<u8>().copy_from_nonoverlapping(text.as_ptr(), text.len());
        buf.add(text.len()).write(0);
        if !out_size.is_null() {
            out_size.write(text.len() + 1);
        }
    }
    true
}

#[cold]
fn too_small(size: usize) -> Error {
    Error::new(Status::BufferTooSmall, format!("the buffer is too small: {size} bytes are needed"))
}
