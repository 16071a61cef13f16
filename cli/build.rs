//! Generates completions and man pages, which the command holds and prints.

use std::error::Error;
use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;

use clap::{Command, CommandFactory};
use clap_complete::Shell;

#[allow(dead_code, missing_docs)]
#[path = "src/args.rs"]
mod args;

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed=src/args.rs");
    let out = PathBuf::from(std::env::var("OUT_DIR")?);
    let mut command = args::Cli::command();
    for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
        let mut text = Vec::new();
        clap_complete::generate(shell, &mut command, "gcauth", &mut text);
        fs::write(out.join(format!("completions.{shell}")), text)?;
    }
    command.build();
    let mut pages = vec![("gcauth".to_owned(), page(&command)?)];
    for verb in command.get_subcommands().filter(|verb| !verb.is_hide_set() && verb.get_name() != "help") {
        let name = format!("gcauth-{}", verb.get_name());
        pages.push((name.clone(), page(&verb.clone().name(&*name.leak()))?));
    }
    let mut table = String::from("&[\n");
    for (name, text) in pages {
        let file = out.join(format!("{name}.1"));
        fs::write(&file, text)?;
        writeln!(table, "({name:?}, include_str!({file:?})),")?;
    }
    table.push(']');
    fs::write(out.join("man.rs"), table)?;
    Ok(())
}

fn page(command: &Command) -> Result<Vec<u8>, Box<dyn Error>> {
    let mut text = Vec::new();
    clap_mangen::Man::new(command.clone()).manual("gcauth").render(&mut text)?;
    Ok(text)
}
