//! What the README and the configuration's page show is what there is.

use std::path::Path;

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

/// The targets of a page's links in Markdown, code left out.
fn links(page: &str) -> Vec<String> {
    let prose: String = page.split("```").step_by(2).collect();
    let text: String = prose.replace("[`", "[").replace("`]", "]").split('`').step_by(2).collect();
    text.split("](")
        .skip(1)
        .filter_map(|rest| rest.split([')', ' ']).next())
        .filter(|target| !target.contains("://") && !target.starts_with("mailto:"))
        .map(str::to_owned)
        .collect()
}

/// The name that a link gives a heading.
fn anchor(heading: &str) -> String {
    let kept = heading.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.collect::<String>().trim().to_lowercase().replace(' ', "-")
}

/// Links of the page at `path` that lead nowhere.
fn broken_links(path: &Path) -> Vec<String> {
    let page = std::fs::read_to_string(path).unwrap();
    let leads_somewhere = |target: &str| {
        let (file, heading) = target.split_once('#').unwrap_or((target, ""));
        let file = if file.is_empty() { path.to_owned() } else { path.parent().unwrap().join(file) };
        let headings = || std::fs::read_to_string(&file).unwrap_or_default();
        file.exists()
            && (heading.is_empty()
                || headings()
                    .lines()
                    .any(|line| line.starts_with('#') && anchor(line.trim_start_matches('#')) == heading))
    };
    links(&page).into_iter().filter(|target| !leads_somewhere(target)).collect()
}

#[test]
fn every_link_leads_to_a_file() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let below = |directory: &str| std::fs::read_dir(root.join(directory)).unwrap().map(|entry| entry.unwrap().path());
    let pages = below("").chain(below("docs")).filter(|path| path.extension().is_some_and(|end| end == "md"));
    let more = ["cpp", "r", "julia"].map(|language| root.join("bindings").join(language).join("README.md"));
    let mut count = 0;
    for page in pages.chain(more).chain([root.join("examples/README.md"), root.join("examples/sandbox/README.md")]) {
        let broken = broken_links(&page);
        assert!(broken.is_empty(), "{}: {broken:?}", page.display());
        count += links(&std::fs::read_to_string(&page).unwrap()).len();
    }
    assert!(count > 50, "only {count} links were found");
}

#[test]
fn a_link_to_nowhere_is_found() {
    let page = std::env::temp_dir().join(format!("gcauth-links-{}.md", std::process::id()));
    std::fs::write(&page, "# A page\n[here](#a-page) [no](missing.md) [nor](#b) [web](https://a.example)\n").unwrap();
    let broken = broken_links(&page);
    std::fs::remove_file(&page).unwrap();
    assert_eq!(broken, ["missing.md", "#b"]);
}

#[test]
fn every_status_is_explained() {
    let failures = include_str!("../docs/failures.md");
    let statuses = include_str!("../src/status.rs");
    for name in statuses.lines().filter_map(|line| line.strip_prefix("pub const GC_AUTH_ERR_")?.split(':').next()) {
        assert!(failures.contains(&format!("`{name}`")), "docs/failures.md does not explain {name}");
    }
}
