//! Writes the C header into `OUT_DIR` and gives the shared library its name.

use std::error::Error;
use std::path::{Path, PathBuf};

/// The files whose types, constants and functions make up the header, in its order.
const SOURCES: &[&str] = &[
    "src/status.rs",
    "src/ffi/handle.rs",
    "src/ffi/life.rs",
    "src/ffi/knowledge.rs",
    "src/ffi/log.rs",
    "src/ffi/errors.rs",
];

/// Each section of the header, and the name that it starts with.
const SECTIONS: &[(&str, &str)] = &[
    ("#define GC_AUTH_VERSION_MAJOR ", "Version of this header"),
    ("struct gc_auth;", "Types"),
    ("#define GC_AUTH_OK ", "Statuses"),
    ("gc_auth_status_t gc_auth_new(", "Life of a session"),
    ("gc_auth_status_t gc_auth_bearer(", "What the session knows"),
    ("gc_auth_status_t gc_auth_set_log(", "Log"),
    ("const char *gc_auth_last_error_message(", "Errors"),
    ("const char *gc_auth_version_string(", "Versions"),
];

/// No line of the header is longer.
const COLUMNS: usize = 100;

fn main() -> Result<(), Box<dyn Error>> {
    let out_dir = PathBuf::from(std::env::var("OUT_DIR")?);
    std::fs::write(out_dir.join("gcauth.h"), header()?)?;
    for source in SOURCES.iter().chain(&["build.rs", "cbindgen.toml", "Cargo.toml"]) {
        println!("cargo:rerun-if-changed={source}");
    }
    if std::env::var("CARGO_CFG_TARGET_OS")? == "linux" {
        println!("cargo:rustc-cdylib-link-arg=-Wl,-soname,libgcauth.so.{}", soversion()?);
        // Threads may be inside when somebody calls dlclose.
        println!("cargo:rustc-cdylib-link-arg=-Wl,-z,nodelete");
        if std::env::var("CARGO_CFG_TARGET_ENV")? == "gnu" {
            link_own_unwinder(&out_dir)?;
        }
    }
    Ok(())
}

/// The number in the name of the shared library, which Cargo.toml has.
fn soversion() -> Result<u32, Box<dyn Error>> {
    let manifest = std::fs::read_to_string("Cargo.toml")?;
    let number = manifest.lines().find_map(|line| line.strip_prefix("soversion = "));
    Ok(number.ok_or("Cargo.toml has no soversion")?.parse()?)
}

/// Gives the shared library an unwinder of its own. Some programs, Julia among them, export another one under the same
/// names, and a panic that is caught inside would abort them. Rust always asks for the shared one, by `-lgcc_s`; so a
/// linker script of that name, in a directory that is searched first, leads to the static one.
fn link_own_unwinder(out_dir: &Path) -> Result<(), Box<dyn Error>> {
    let directory = out_dir.join("unwinder");
    std::fs::create_dir_all(&directory)?;
    std::fs::write(directory.join("libgcc_s.so"), "GROUP ( -lgcc_eh -lgcc )\n")?;
    println!("cargo:rustc-cdylib-link-arg=-L{}", directory.display());
    Ok(())
}

fn header() -> Result<String, Box<dyn Error>> {
    let mut builder = cbindgen::Builder::new().with_config(cbindgen::Config::from_file("cbindgen.toml")?);
    for source in SOURCES {
        builder = builder.with_src(source);
    }
    let mut bytes = Vec::new();
    builder.generate()?.write(&mut bytes);
    let mut text = String::from_utf8(bytes)?
        .replace("\ngc_auth_status_t gc_auth_", "\nGC_AUTH_NODISCARD\ngc_auth_status_t gc_auth_");
    for (first, title) in SECTIONS {
        let at = text.find(first).ok_or_else(|| format!("the header has no {first}"))?;
        let comment = text[..at].rfind("/**").ok_or_else(|| format!("{first} has no documentation"))?;
        let banner = format!("/* {:=<76} */\n/* {title:<76} */\n/* {:=<76} */\n\n", "", "");
        text.insert_str(comment, &banner);
    }
    Ok(reflow(&text))
}

/// The text with its comments broken at `COLUMNS`: what goes over is put before the next line of the paragraph.
fn reflow(text: &str) -> String {
    let mut lines = Vec::new();
    // The rest of a line that was too long, and how far the lines of its paragraph are indented.
    let mut rest: Option<(usize, String)> = None;
    for line in text.lines() {
        let content = line.strip_prefix(" * ").unwrap_or_default();
        let indent = content.len() - content.trim_start().len();
        let is_item = content.trim_start().starts_with("- ");
        let mut current = line.to_owned();
        if let Some((rest_indent, words)) = rest.take() {
            if !content.is_empty() && !is_item && indent == rest_indent {
                current = format!(" * {:indent$}{words} {}", "", content.trim_start());
            } else {
                lines.push(format!(" * {:rest_indent$}{words}", ""));
            }
        }
        let may_break = current.starts_with(" * ") && indent < 4;
        let hanging = if is_item { indent + 2 } else { indent };
        while let Some(space) = may_break.then(|| last_space(&current)).flatten() {
            let words = current.split_off(space);
            lines.push(current);
            rest = Some((hanging, words.trim_start().to_owned()));
            current = format!(" * {:hanging$}{}", "", words.trim_start());
        }
        if rest.is_none() {
            lines.push(current);
        }
    }
    lines.push(String::new());
    lines.join("\n")
}

/// Where to break a line that is longer than `COLUMNS`.
fn last_space(line: &str) -> Option<usize> {
    let (end, _) = line.char_indices().nth(COLUMNS)?;
    let at = line[..=end].rfind(' ')?;
    // A version stays on the line of its "Since", where tests/abi/abi.sh reads it.
    let at = line[..at].strip_suffix(" Since").map_or(at, str::len);
    Some(at).filter(|at| !line[..*at].trim_matches([' ', '*']).is_empty())
}
