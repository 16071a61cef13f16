//! The header that is checked in is the one that the sources generate.

#[test]
fn the_header_is_current() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/include/gcauth.h");
    let generated = include_str!(concat!(env!("OUT_DIR"), "/gcauth.h"));
    if std::env::var_os("GCAUTH_RENEW_HEADER").is_some() {
        std::fs::write(path, generated).expect("the header can be written");
    }
    let checked_in = std::fs::read_to_string(path).unwrap_or_default();
    assert!(checked_in == generated, "include/gcauth.h is not what the sources generate; run: make header");
}
