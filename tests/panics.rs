//! A panic in every export of the C API is caught, and is `GC_AUTH_ERR_INTERNAL`. Needs the feature `failpoints`.

use std::collections::BTreeSet;
use std::ffi::{CStr, c_char, c_void};
use std::ptr::{null, null_mut};

use gcauth as _;

const INTERNAL: i32 = 99;

type Auth = *mut c_void;

unsafe extern "C" {
    fn gc_auth_new(c: *const c_char, t: *const c_char, r: *const c_char, e: *const c_char, out: *mut Auth) -> i32;
    fn gc_auth_from_json(config: *const c_char, json: *const c_char, out: *mut Auth) -> i32;
    fn gc_auth_login(a: Auth, u: *const c_char, p: *const c_char, o: *const c_char, j: *const c_char) -> i32;
    fn gc_auth_refresh(auth: Auth, project: *const c_char) -> i32;
    fn gc_auth_report_rejected(auth: Auth, bearer: *const c_char) -> i32;
    fn gc_auth_logout(auth: Auth) -> i32;
    fn gc_auth_free(auth: Auth);
    fn gc_auth_bearer(auth: Auth, buf: *mut c_char, size: usize, out: *mut usize, expires: *mut i64) -> i32;
    fn gc_auth_bearer_valid_for(a: Auth, s: i64, b: *mut c_char, z: usize, o: *mut usize, e: *mut i64) -> i32;
    fn gc_auth_write_token_file(auth: Auth, path: *const c_char, format: *const c_char) -> i32;
    fn gc_auth_decode_jwt(auth: Auth, key: *const c_char, buf: *mut c_char, size: usize, out: *mut usize) -> i32;
    fn gc_auth_project_id(auth: Auth, out: *mut i64) -> i32;
    fn gc_auth_set_log(auth: Auth, log: *const c_void, user_data: *mut c_void, level: i32) -> i32;
    fn gc_auth_last_error_message() -> *const c_char;
    fn gc_auth_last_error_status() -> i32;
}

/// Exports that give text and nothing else.
macro_rules! texts {
    ($($name:ident),*) => {
        unsafe extern "C" { $(fn $name(auth: Auth, buf: *mut c_char, size: usize, out: *mut usize) -> i32;)* }
        const TEXTS: &[(&str, unsafe extern "C" fn(Auth, *mut c_char, usize, *mut usize) -> i32)] =
            &[$((stringify!($name), $name)),*];
    };
}

texts!(
    gc_auth_token,
    gc_auth_refresh_token,
    gc_auth_token_type,
    gc_auth_env,
    gc_auth_host,
    gc_auth_decoded_token,
    gc_auth_verify,
    gc_auth_to_json,
    gc_auth_session_info
);

/// What reads a value that is there already, and runs no code that could panic.
const READERS: [&str; 8] = [
    "gc_auth_last_error_message",
    "gc_auth_last_error_status",
    "gc_auth_last_error_http_status",
    "gc_auth_last_error_retry_after_ms",
    "gc_auth_last_error_is_retryable",
    "gc_auth_status_name",
    "gc_auth_version_string",
    "gc_auth_version_number",
];

fn check(name: &'static str, status: i32, called: &mut BTreeSet<String>) {
    assert_eq!(status, INTERNAL, "{name}");
    // SAFETY: the message is this thread's, and is not kept.
    let (kept, message) = unsafe { (gc_auth_last_error_status(), CStr::from_ptr(gc_auth_last_error_message())) };
    assert_eq!(kept, INTERNAL, "{name}");
    assert!(message.to_str().unwrap().contains("bug in libgcauth"), "{name}");
    called.insert(name.to_owned());
}

#[test]
fn a_panic_in_any_export_is_a_status() {
    let mut called = BTreeSet::new();
    let (mut auth, mut other): (Auth, Auth) = (null_mut(), null_mut());
    let (mut size, mut number) = (0usize, 7i64);
    let text = c"text".as_ptr();
    // SAFETY: strings, handles and outputs are as the header asks for; nobody else reads the environment here.
    unsafe {
        assert_eq!(gc_auth_new(c"{}".as_ptr(), text, null(), null(), &mut auth), 0);
        std::env::set_var("GCAUTH_FAILPOINT", "export:panic");
        for (name, export) in TEXTS {
            check(name, export(auth, null_mut(), 0, &mut size), &mut called);
        }
        check("gc_auth_new", gc_auth_new(null(), null(), null(), null(), &mut other), &mut called);
        check("gc_auth_from_json", gc_auth_from_json(null(), text, &mut other), &mut called);
        check("gc_auth_login", gc_auth_login(auth, text, text, text, null()), &mut called);
        check("gc_auth_refresh", gc_auth_refresh(auth, null()), &mut called);
        check("gc_auth_report_rejected", gc_auth_report_rejected(auth, text), &mut called);
        check("gc_auth_logout", gc_auth_logout(auth), &mut called);
        check("gc_auth_bearer", gc_auth_bearer(auth, null_mut(), 0, &mut size, null_mut()), &mut called);
        let lasting = gc_auth_bearer_valid_for(auth, 60, null_mut(), 0, &mut size, null_mut());
        check("gc_auth_bearer_valid_for", lasting, &mut called);
        check("gc_auth_write_token_file", gc_auth_write_token_file(auth, text, text), &mut called);
        check("gc_auth_decode_jwt", gc_auth_decode_jwt(auth, null(), null_mut(), 0, &mut size), &mut called);
        check("gc_auth_project_id", gc_auth_project_id(auth, &mut number), &mut called);
        check("gc_auth_set_log", gc_auth_set_log(auth, null(), null_mut(), 0), &mut called);
        // It frees what it got all the same, and tells nobody.
        gc_auth_free(auth);
        called.insert("gc_auth_free".to_owned());
    }
    assert!(other.is_null(), "a handle came out of a call that failed");
    assert_eq!((size, number), (0, 7), "an output was written by a call that failed");

    // None was left out.
    let header = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/include/gcauth.h")).unwrap();
    let code: String = header.lines().filter(|line| !line.trim_start().starts_with(['*', '/'])).collect();
    let declared: BTreeSet<String> = code
        .match_indices("gc_auth_")
        .filter_map(|(at, _)| code[at..].split_once('('))
        .map(|(name, _)| name.to_owned())
        .filter(|name| name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_'))
        .collect();
    called.extend(READERS.map(str::to_owned));
    assert_eq!(called, declared);
}
