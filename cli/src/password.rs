//! The password: from the terminal, a descriptor or a command, never from an argument.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::process::{Command, Stdio};

use zeroize::Zeroizing;

use crate::args::Login;
use crate::failure::{Failure, Outcome};
use crate::prompt::Terminal;

/// No password is as long.
const MAX_LEN: usize = 64 << 10;

/// The password that `login` has a source for, or that is typed.
pub fn get(login: &Login, user: &str) -> Outcome<Zeroizing<String>> {
    if login.password_stdin {
        return read(io::stdin().lock(), "standard input");
    }
    if let Some(number) = login.password_fd {
        let path = format!("/dev/fd/{number}");
        let file = File::open(Path::new(&path))
            .map_err(|error| Failure::usage(format!("file descriptor {number} can't be read: {error}")))?;
        return read(file, &format!("file descriptor {number}"));
    }
    if let Some(command) = &login.password_command {
        return run(command);
    }
    let Some(mut terminal) = Terminal::open() else {
        return Err(Failure::usage(
            "there is no terminal to ask for the password; use --password-stdin, --password-fd or --password-command",
        ));
    };
    terminal.ask_password(&format!("Password of {user}: "))
}

fn run(command: &str) -> Outcome<Zeroizing<String>> {
    let started = Command::new("/bin/sh").args(["-c", command]).stdout(Stdio::piped()).spawn();
    let mut child = started.map_err(|error| Failure::other(format!("the password command can't be run: {error}")))?;
    let password = match child.stdout.take() {
        Some(output) => read(output, "the output of the password command"),
        None => Err(Failure::other("the password command has no output")),
    };
    let ended = child.wait().map_err(|error| Failure::other(format!("the password command was lost: {error}")))?;
    // Its own messages are on standard error.
    if ended.success() { password } else { Err(Failure::other(format!("the password command failed ({ended})"))) }
}

/// One line; its end is no part of the password.
fn read(mut source: impl Read, what: &str) -> Outcome<Zeroizing<String>> {
    // Room for all of it: growing would leave copies behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(MAX_LEN + 1));
    let mut chunk = Zeroizing::new([0u8; 4096]);
    loop {
        match source.read(&mut chunk[..]) {
            Ok(0) => break,
            Ok(count) if bytes.len() + count <= MAX_LEN => bytes.extend_from_slice(&chunk[..count]),
            Ok(_) => return Err(Failure::usage(format!("{what} is too long for a password"))),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(Failure::other(format!("{what} can't be read: {error}"))),
        }
    }
    let text = std::str::from_utf8(&bytes).map_err(|_| Failure::usage(format!("{what} is not UTF-8")))?;
    let password = text.strip_suffix('\n').map_or(text, |line| line.strip_suffix('\r').unwrap_or(line));
    if password.is_empty() {
        return Err(Failure::usage(format!("{what} holds no password")));
    }
    Ok(Zeroizing::new(password.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_end_is_taken_off() {
        for (text, password) in
            [("p", "p"), ("p\n", "p"), ("p\r\n", "p"), ("p\n\n", "p\n"), (" p ", " p "), ("p\r", "p\r")]
        {
            assert_eq!(**read(text.as_bytes(), "text").unwrap(), *password, "{text:?}");
        }
        for text in ["", "\n", "\r\n"] {
            assert!(read(text.as_bytes(), "text").is_err(), "{text:?}");
        }
        assert!(read(&b"\xff\n"[..], "text").is_err());
        assert!(read("p".repeat(MAX_LEN + 1).as_bytes(), "text").is_err());
        assert!(read("p".repeat(MAX_LEN).as_bytes(), "text").is_ok());
    }

    #[test]
    fn a_command_gives_its_output_or_fails() {
        assert_eq!(**run("echo secret").unwrap(), *"secret");
        assert!(run("echo secret; exit 3").unwrap_err().message.contains('3'));
        assert!(run("true").is_err());
    }
}
