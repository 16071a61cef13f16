//! Around every export that does work: a clean last error before, no panic across the boundary after.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::last_error;
use crate::error::{Error, Result, Status};
use crate::failpoint::reach;
use crate::status::{GC_AUTH_OK, gc_auth_status_t};

/// Runs the body of an export.
#[inline]
pub(super) fn guard(body: impl FnOnce() -> Result<()>) -> gc_auth_status_t {
    last_error::clear();
    match catch_unwind(AssertUnwindSafe(|| {
        reach("export");
        body()
    })) {
        Ok(Ok(())) => GC_AUTH_OK,
        Ok(Err(error)) => fail(&error),
        Err(payload) => {
            // Dropping what was thrown could throw again.
            std::mem::forget(payload);
            fail(&Error::new(
                Status::Internal,
                "a bug in libgcauth was caught; please report it with what it printed on standard error",
            ))
        }
    }
}

#[cold]
fn fail(error: &Error) -> gc_auth_status_t {
    last_error::set(error);
    error.status().code()
}

/// Runs the body of an export that reports nothing.
pub(super) fn quietly(body: impl FnOnce()) {
    if let Err(payload) = catch_unwind(AssertUnwindSafe(|| {
        body();
        reach("export");
    })) {
        std::mem::forget(payload);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::status::GC_AUTH_ERR_INTERNAL;

    #[test]
    fn a_panic_is_an_internal_error() {
        assert_eq!(guard(|| panic!("a panic that this test makes")), GC_AUTH_ERR_INTERNAL);
        assert_eq!(last_error::status(), GC_AUTH_ERR_INTERNAL);
        assert_eq!(guard(|| Ok(())), GC_AUTH_OK);
        assert_eq!(last_error::status(), GC_AUTH_OK);
        quietly(|| panic!("another panic that this test makes"));
    }
}
