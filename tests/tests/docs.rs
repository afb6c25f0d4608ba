//! What the guides say is so: their links lead somewhere, and their reference of `plugin.toml`
//! is one that the host takes. The README's tour has a test of its own.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use mandate_plugin::Manifest;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn read(file: &Path) -> String {
    std::fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

/// All `.md` files of `docs` and the readmes that lead there.
fn guides() -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = ["README.md", "wit/README.md", "tests/README.md"]
        .iter()
        .map(|file| root().join(file))
        .collect();
    let mut folders = vec![root().join("docs")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "md") {
                found.push(path);
            }
        }
    }
    found
}

/// Targets of `[text](target)`.
fn links(text: &str) -> Vec<&str> {
    text.split("](")
        .skip(1)
        .filter_map(|rest| rest.split_once(')').map(|(target, _)| target))
        .collect()
}

/// As the anchors of headings are made.
fn anchors(text: &str) -> Vec<String> {
    let headings = text.lines().filter(|line| line.starts_with('#'));
    headings
        .map(|line| {
            let title = line.trim_start_matches('#').trim().to_lowercase();
            let kept = title
                .chars()
                .filter(|c| c.is_alphanumeric() || " -_".contains(*c));
            kept.map(|c| if c == ' ' { '-' } else { c }).collect()
        })
        .collect()
}

#[test]
fn links_lead_somewhere() {
    let mut wrong = Vec::new();
    for guide in guides() {
        let text = read(&guide);
        for link in links(&text) {
            if link.contains("://") {
                continue;
            }
            let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
            let target = match file {
                "" => guide.clone(),
                file => guide.parent().unwrap().join(file),
            };
            let there = target.exists()
                && (anchor.is_empty() || anchors(&read(&target)).iter().any(|a| a == anchor));
            if !there {
                wrong.push(format!("{}: {link}", guide.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_broken_link_would_be_seen() {
    assert_eq!(
        links("a [b](c.md) [d](#e-f) (g)](h)"),
        ["c.md", "#e-f", "h"]
    );
    assert_eq!(
        anchors("# plugin.toml, every key\n## A b\n"),
        ["plugintoml-every-key", "a-b"]
    );
}

/// The blocks of TOML below a heading.
fn blocks(text: &str, heading: &str) -> Vec<String> {
    let (_, below) = text.split_once(&format!("\n{heading}\n")).unwrap();
    let section = below.split("\n## ").next().unwrap();
    let blocks = section.split("```toml\n").skip(1);
    blocks
        .map(|block| block.split("```").next().unwrap().to_owned())
        .collect()
}

#[test]
fn the_reference_of_the_manifest_is_one() {
    let guide = read(&root().join("docs/authors.md"));
    let blocks = blocks(&guide, "## plugin.toml, every key");
    let [agent, tools] = blocks.as_slice() else {
        panic!("expected a block for agents and one for tools");
    };
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("schemas")).unwrap();
    let schema = r#"{"type": "object", "properties": {
        "state": {"type": "string"}, "severity": {"type": "number"}, "open": {"type": "boolean"},
        "tags": {"type": "array", "items": {"type": "string"}},
        "title": {"type": "string"}, "body": {"type": "string"}}}"#;
    std::fs::write(folder.path().join("schemas/incident.json"), schema).unwrap();
    let parse = |text: &str| {
        Manifest::parse(text, folder.path()).unwrap_or_else(|errors| panic!("{errors}\n{text}"))
    };
    assert_eq!(parse(agent).agent.unwrap().kinds, ["incident-triage"]);
    // The other way to have a schedule.
    let (every, cron) = ("every = \"5m\"", "# cron = ");
    assert!(agent.contains(every) && agent.contains(cron));
    parse(&agent.replace(every, "").replace(cron, "cron = "));
    let (plugin, _) = agent.split_once("[agent]").unwrap();
    assert_eq!(parse(&format!("{plugin}{tools}")).tools[0].name, "count");
}
