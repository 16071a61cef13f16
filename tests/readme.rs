//! What the README and the configuration's page show is what there is.

use gcauth::{Config, Surroundings};

const README: &str = include_str!("../README.md");
const CONFIGURATION: &str = include_str!("../docs/configuration.md");

/// The text of the first code block of this language after `heading`.
fn block(page: &str, heading: &str, language: &str) -> String {
    let after = page.split_once(heading).expect(heading).1;
    let start = after.split_once(&format!("```{language}\n")).expect(language).1;
    start.split_once("```").unwrap().0.to_owned()
}

#[test]
fn the_listing_is_the_example() {
    let example = include_str!("../examples/c/first_login.c");
    assert_eq!(block(README, "## A first login in C", "c"), example);
}

#[test]
fn the_default_config_is_a_config() {
    let config = block(CONFIGURATION, "# Configuration", "json");
    Config::load(Some(&config), &Surroundings::default()).unwrap();
}

#[test]
fn every_config_key_is_explained() {
    let config: serde_json::Value = serde_json::from_str(&block(CONFIGURATION, "# Configuration", "json")).unwrap();
    let table = CONFIGURATION.split_once("| key | what it does").unwrap().1;
    for key in config.as_object().unwrap().keys() {
        assert!(table.contains(&format!("`{key}")), "{key} has no row");
    }
}

#[test]
fn the_readme_is_a_front_door() {
    assert!(README.lines().count() <= 150, "move what is more to docs/");
}
