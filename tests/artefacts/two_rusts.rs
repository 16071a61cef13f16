//! The other Rust library in a program that links libgcauth.a: it has its own standard library, and catches a panic.

#[unsafe(no_mangle)]
pub extern "C" fn other_rust_library_catches() -> i32 {
    let caught = std::panic::catch_unwind(|| std::panic::panic_any(17));
    caught.err().and_then(|payload| payload.downcast_ref::<i32>().copied()).unwrap_or(-1)
}
