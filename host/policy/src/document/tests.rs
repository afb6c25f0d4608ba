//! What a document may not say, and what it is told then.

use super::{Document, Format, PolicyError};
use crate::Policy;

/// The policy of the guide, which says everything.
fn whole() -> &'static str {
    let guide = include_str!("../../../../docs/policy.md");
    let block = guide.split("```toml\n").nth(1).unwrap();
    block.split("```").next().unwrap()
}

fn refused(text: &str) -> String {
    match Document::read(text) {
        Err(error) => error.to_string(),
        Ok(document) => panic!("{text}: {document:?}"),
    }
}

#[test]
fn the_guides_policy_says_everything_and_can_be_written_as_json() {
    let document = Document::read(whole()).unwrap();
    let json = serde_json::to_string_pretty(&document).unwrap();
    assert_eq!(Format::of(&json), Format::Json);
    assert_eq!(Document::read(&json).unwrap(), document);
    let toml = toml::to_string(&document).unwrap();
    assert_eq!(Document::read(&toml).unwrap(), document);
    let (a, b) = (Policy::read(whole()).unwrap(), Policy::read(&json).unwrap());
    assert_eq!(a.digest(), b.digest());
    assert_ne!(a.digest(), Policy::read("").unwrap().digest());
}

#[test]
fn an_empty_document_is_that_of_the_design() {
    assert_eq!(Document::read("").unwrap(), Document::default());
    assert_eq!(Document::read("{}").unwrap(), Document::default());
}

#[test]
fn what_cannot_be_is_refused_with_its_place() {
    let freeze = |text: &str| format!("[[freeze]]\nname = \"f\"\n{text}");
    let quiet = |text: &str| freeze(&format!("from = \"22:00\"\nuntil = \"06:00\"\n{text}"));
    let over =
        |text: &str| format!("[[override]]\nname = \"o\"\nfor = {{ tool = \"a.b\" }}\n{text}");
    let budget =
        |text: &str| format!("[[budget]]\nname = \"b\"\nwindow = \"day\"\nlimit = 1\n{text}");
    for (text, place) in [
        ("thresholds = 3".to_owned(), "line 1"),
        ("[threshold]".to_owned(), "threshold"),
        ("[thresholds]\nlevel1 = -5".to_owned(), "line 2"),
        ("[thresholds]\nlevel1 = 0.0000001".to_owned(), "line 2"),
        ("[thresholds]\nlevel3 = 5".to_owned(), "level3"),
        (
            "[thresholds]\nlevel1 = 20000".to_owned(),
            "thresholds.level1",
        ),
        (
            "[thresholds]\nmin_confidence = 1.5".to_owned(),
            "thresholds.min_confidence",
        ),
        (
            "[thresholds]\nmin_confidence = nan".to_owned(),
            "thresholds.min_confidence",
        ),
        ("[thresholds]\nmax_risk = \"huge\"".to_owned(), "huge"),
        (
            "{\"thresholds\": {\"level1\": \"-1\"}}".to_owned(),
            "line 1 column",
        ),
        ("{".to_owned(), "line 1"),
        ("[[tariff]]\ntool = \"a.b\"".to_owned(), "tariff[1]"),
        (
            "[[tariff]]\ntool = \"a.*.b\"\nfixed = 1".to_owned(),
            "tariff[1].tool",
        ),
        (
            "[[tariff]]\ntool = \"a.b\"\nper_unit = 1".to_owned(),
            "go together",
        ),
        (
            "[[tariff]]\ntool = \"a.b\"\nper_unit = 1\nunits = \"x\"".to_owned(),
            "tariff[1].units",
        ),
        (over(""), "override[1]: says nothing"),
        (over("level1 = 20000"), "override[1].level1"),
        (over("min_confidence = -1"), "override[1].min_confidence"),
        (over("outcome = \"allow\""), "allow"),
        (
            over("level1 = 1").replace("\"o\"", "\"Not kebab\""),
            "override[1].name",
        ),
        (
            format!("{}\n{}", over("level1 = 1"), over("level1 = 2")),
            "override[2].name",
        ),
        (
            format!(
                "{}\n{}",
                over("level1 = 1"),
                over("level1 = 2").replace("\"o\"", "\"p\"")
            ),
            "override[2].for",
        ),
        (
            "[[override]]\nname = \"o\"\nfor = {}\nlevel1 = 1".to_owned(),
            "override[1].for",
        ),
        (freeze(""), "freeze[1]"),
        (freeze("from = \"22:00\""), "freeze[1]"),
        (
            freeze("from = \"22:00\"\nuntil = \"22:00\""),
            "freeze[1].until",
        ),
        (
            freeze("from = \"24:00\"\nuntil = \"06:00\""),
            "freeze[1].from",
        ),
        (freeze("from = \"25:00\"\nuntil = \"06:00\""), "time of day"),
        (quiet("zone = \"Mars/Phobos\""), "freeze[1].zone"),
        (quiet("zone = \"+99:00\""), "freeze[1].zone"),
        (quiet("days = [\"monday\"]"), "freeze[1].days"),
        (quiet("outcome = \"approve\""), "freeze[1].outcome"),
        (quiet("starts = \"2026-12-20T00:00:00Z\""), "is both"),
        (
            freeze("starts = \"2026-12-20T00:00:00Z\""),
            "starts and ends",
        ),
        (
            freeze("starts = \"2026-12-20T00:00:00Z\"\nends = \"2026-12-20T00:00:00Z\""),
            "freeze[1].ends",
        ),
        (budget("scope = \"galaxy\""), "galaxy"),
        (
            budget("scope = \"host\"\ntenant = \"acme\""),
            "budget[1].tenant",
        ),
        (
            budget("scope = \"tenant\"\nplugin = \"a\""),
            "budget[1].plugin",
        ),
        (
            budget("scope = \"agent\"\ntarget = \"a\""),
            "budget[1].target",
        ),
        (
            budget("scope = \"host\"").replace("\"day\"", "\"week\""),
            "window",
        ),
        (
            budget("scope = \"host\"").replace("limit = 1", "limit = -1"),
            "dollars",
        ),
        (
            "[approvals]\nexpires_after = \"0m\"".to_owned(),
            "length of time",
        ),
        (
            "[[approvals.route]]\nchannels = []".to_owned(),
            "approvals.route[1].channels",
        ),
        (
            "[[approvals.route]]\nchannels = [\"a\"]\n[[approvals.route]]\nchannels = [\"b\"]"
                .to_owned(),
            "approvals.route[2]",
        ),
        (
            "[approvals]\nexpires_after = \"5m\"\n[[approvals.route]]\nchannels = [\"a\"]"
                .to_owned(),
            "approvals.repeat_after",
        ),
        ("[rules]\nrego = 1".to_owned(), "line 2"),
    ] {
        let error = refused(&text);
        assert!(
            error.contains(place),
            "{text}\n→ {error}\n(expected {place})"
        );
    }
}

#[test]
fn too_much_is_refused() {
    let many = "[[tariff]]\ntool = \"a.b\"\nfixed = 1\n".repeat(257);
    assert!(refused(&many).contains("257 entries"));
    let long = format!("# {}", "x".repeat(300_000));
    assert_eq!(Document::read(&long), Err(PolicyError::TooLong(300_002)));
    let deep = format!("{{\"rules\": {}", "[".repeat(10_000));
    assert!(!refused(&deep).is_empty());
    let deep = format!("rules = {}", "[".repeat(10_000));
    assert!(!refused(&deep).is_empty());
}
