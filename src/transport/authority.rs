//! Host, port and login, as URLs write them.
#![forbid(unsafe_code)]

use std::net::Ipv6Addr;

use zeroize::Zeroizing;

/// The error says what is wrong without repeating the text, which may hold a password.
pub(crate) fn host_and_port(place: &str, default_port: u16) -> Result<(String, u16), &'static str> {
    let (host, port) = match place.strip_prefix('[') {
        Some(rest) => {
            let (host, after) = rest.split_once(']').ok_or("has a [ without a ]")?;
            host.parse::<Ipv6Addr>().map_err(|_| "has something that is no IPv6 address between [ and ]")?;
            match after.strip_prefix(':') {
                None if after.is_empty() => (host, None),
                Some(port) => (host, Some(port)),
                None => return Err("has something between the ] and the port"),
            }
        }
        None => match place.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (place, None),
        },
    };
    if host.is_empty() {
        return Err("has no host");
    }
    if !place.starts_with('[') && !host.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b)) {
        return Err("has a host with characters that no host name has");
    }
    let port = match port {
        None => default_port,
        Some(digits) => number(digits)
            .and_then(|port| u16::try_from(port).ok())
            .filter(|port| *port != 0)
            .ok_or("has no port from 1 to 65535 after the colon")?,
    };
    Ok((host.to_owned(), port))
}

/// `host:port`, an IPv6 address in its brackets.
pub(crate) fn place(host: &str, port: u16) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

/// Digits only: a sign would not be one.
pub(crate) fn number(digits: &str) -> Option<u32> {
    digits.bytes().all(|b| b.is_ascii_digit()).then(|| digits.parse().ok()).flatten()
}

/// Without percent-encoding. Where `is_strict` is false, a % that begins none stands for itself, as with curl.
pub(crate) fn decoded(text: &str, is_strict: bool) -> Result<Zeroizing<String>, &'static str> {
    const WRONG: &str = "has a % that is not followed by two hexadecimal digits of UTF-8 text; write % as %25";
    let mut out = Zeroizing::new(Vec::with_capacity(text.len()));
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        rest = after;
        let digit = |at: usize| after.get(at).and_then(|byte| char::from(*byte).to_digit(16));
        match (first, digit(0), digit(1)) {
            (b'%', Some(high), Some(low)) => {
                out.push(u8::try_from(high << 4 | low).unwrap_or_default());
                rest = &after[2..];
            }
            (b'%', ..) if is_strict => return Err(WRONG),
            _ => out.push(first),
        }
    }
    std::str::from_utf8(&out).map(|text| Zeroizing::new(text.to_owned())).map_err(|_| WRONG)
}
