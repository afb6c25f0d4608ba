//! Manifests that are wrong, as folders: `plugin.toml` and what its author is told. With
//! `BLESS=1` in the environment the told is written instead of compared.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use mandate_plugin::Manifest;
use std::path::Path;

#[test]
fn what_an_author_is_told() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/manifests");
    let mut cases: Vec<_> = std::fs::read_dir(&root)
        .unwrap()
        .map(|e| e.unwrap().path())
        .collect();
    cases.sort();
    assert!(cases.len() > 20, "the scenario folders are gone");
    let mut wrong = Vec::new();
    for case in cases {
        let name = case.file_name().unwrap().to_string_lossy().into_owned();
        let text = std::fs::read_to_string(case.join("plugin.toml")).unwrap();
        let told = match Manifest::parse(&text, &case) {
            Ok(_) => "fine\n".to_owned(),
            Err(errors) => format!("{errors}\n"),
        };
        let file = case.join("expected.txt");
        if std::env::var_os("BLESS").is_some() {
            std::fs::write(&file, &told).unwrap();
        }
        let expected = std::fs::read_to_string(&file).unwrap_or_default();
        if told != expected {
            wrong.push(format!("== {name}\n-- expected\n{expected}-- told\n{told}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_manifest_survives_json() {
    let case = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/manifests/fine-agent");
    let text = std::fs::read_to_string(case.join("plugin.toml")).unwrap();
    let manifest = Manifest::parse(&text, &case).unwrap();
    let json = serde_json::to_string(&manifest).unwrap();
    let back: Manifest = serde_json::from_str(&json).unwrap();
    assert_eq!(back, manifest);
    assert!(back.check().is_empty());
    // The schema that was a path is inside now.
    assert!(back.records.get("notes").unwrap().schema.is_object());
}
