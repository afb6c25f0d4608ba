//! What the redaction finds and misses, measured with `redaction.toml` and written down in `docs/redaction.md`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use mandate_llm::redact::{Redactor, Settings};
use serde::Deserialize;
use std::fmt::Write as _;
use std::path::Path;

#[derive(Deserialize)]
struct Corpus {
    lines: Vec<Line>,
}

#[derive(Deserialize)]
struct Line {
    kind: String,
    found: bool,
    text: String,
}

#[derive(Default)]
struct Row {
    kind: String,
    found: usize,
    secrets: usize,
    taken: usize,
    innocents: usize,
}

const TABLE: &str = "<!-- measured -->\n";

impl Line {
    /// The text, and what has to go from it.
    fn parts(&self) -> (String, Vec<String>) {
        let text = self.text.replace('¦', "");
        let marked = text.split('«').skip(1);
        let secrets = marked.map(|part| part.split_once('»').unwrap().0.to_owned());
        (text.replace(['«', '»'], ""), secrets.collect())
    }

    /// Whether what has to go goes, or for an innocent text whether anything does.
    fn is_taken(&self) -> bool {
        let ip = self.kind == "IP address";
        let (text, secrets) = self.parts();
        let redacted = Redactor::new(Settings { ip }).texts(&[text]);
        redacted.is_some_and(|(texts, _)| secrets.iter().all(|secret| !texts[0].contains(secret)))
    }
}

fn corpus() -> Vec<Line> {
    let corpus: Corpus = toml::from_str(include_str!("redaction.toml")).unwrap();
    corpus.lines
}

fn measured() -> String {
    let mut rows: Vec<Row> = Vec::new();
    let mut wrong = [String::new(), String::new()];
    for line in corpus() {
        if rows.last().is_none_or(|row| row.kind != line.kind) {
            rows.push(Row {
                kind: line.kind.clone(),
                ..Row::default()
            });
        }
        let row = rows.last_mut().unwrap();
        let taken = line.is_taken();
        let (all, hit) = if line.found {
            (&mut row.secrets, &mut row.found)
        } else {
            (&mut row.innocents, &mut row.taken)
        };
        *all += 1;
        *hit += usize::from(taken);
        if taken != line.found {
            let text = line.text.replace(['«', '»', '¦'], "").replace('\n', " ⏎ ");
            writeln!(wrong[usize::from(taken)], "- {}: `{text}`", line.kind).unwrap();
        }
    }
    let mut out = String::from("| kind | found | innocents taken |\n|---|---|---|\n");
    let mut sum = Row {
        kind: "all".to_owned(),
        ..Row::default()
    };
    for row in &rows {
        sum.found += row.found;
        sum.secrets += row.secrets;
        sum.taken += row.taken;
        sum.innocents += row.innocents;
    }
    rows.push(sum);
    for row in rows {
        let Row {
            kind,
            found,
            secrets,
            taken,
            innocents,
        } = row;
        writeln!(
            out,
            "| {kind} | {found} of {secrets} | {taken} of {innocents} |"
        )
        .unwrap();
    }
    let [missed, taken] = wrong;
    let or_none = |list: String| {
        if list.is_empty() {
            "none\n".to_owned()
        } else {
            list
        }
    };
    writeln!(
        out,
        "\nMissed:\n\n{}\nTaken though innocent:\n\n{}",
        or_none(missed),
        or_none(taken).trim_end()
    )
    .unwrap();
    out
}

#[test]
fn the_table_of_what_is_found_is_true() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/redaction.md");
    let written = std::fs::read_to_string(&path).unwrap();
    let (prose, table) = written.split_once(TABLE).unwrap();
    let measured = measured();
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, format!("{prose}{TABLE}\n{measured}")).unwrap();
        return;
    }
    assert_eq!(
        table.trim_start(),
        measured,
        "UPDATE=1 writes docs/redaction.md anew"
    );
}

#[test]
fn all_of_the_corpus_comes_back_and_a_second_look_finds_nothing() {
    for line in corpus() {
        let redactor = Redactor::new(Settings {
            ip: line.kind == "IP address",
        });
        let (text, _) = line.parts();
        let Some((texts, redacted)) = redactor.texts(std::slice::from_ref(&text)) else {
            continue;
        };
        let mut restorer = redacted.restorer();
        let back = restorer.push(&texts[0]) + &restorer.finish();
        assert_eq!(back, text);
        assert!(redactor.texts(&texts).is_none(), "{text} became {texts:?}");
    }
}
