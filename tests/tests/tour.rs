//! The tour of the README is true: every `$` line of its `console` blocks is run against a host
//! of this test's own, and says what the README says.
//!
//! `...` alone on a line stands for any lines, `[..]` for anything within a line. A line that
//! begins with `> ` goes on with the command above it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use mandate_tests::{Host, Options};
use std::fmt::Write as _;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const PORT: &str = "127.0.0.1:7300";

/// A command of the README, and what it should print.
#[derive(Debug, Default, PartialEq)]
struct Line {
    number: usize,
    command: String,
    expected: Vec<String>,
}

/// The commands of all `console` blocks, in order.
fn commands(text: &str) -> Vec<Line> {
    let mut found: Vec<Line> = Vec::new();
    let mut inside = false;
    for (index, line) in text.lines().enumerate() {
        if line.starts_with("```") {
            inside = !inside && line == "```console";
        } else if !inside {
        } else if let Some(command) = line.strip_prefix("$ ") {
            found.push(Line {
                number: index + 1,
                command: command.to_owned(),
                expected: Vec::new(),
            });
        } else if let Some(last) = found.last_mut() {
            match line.strip_prefix("> ") {
                Some(more) if last.expected.is_empty() => {
                    last.command.push('\n');
                    last.command.push_str(more);
                }
                _ => last.expected.push(line.to_owned()),
            }
        }
    }
    for line in &mut found {
        while line.expected.last().is_some_and(String::is_empty) {
            line.expected.pop();
        }
    }
    found
}

/// Whether `line` is what `pattern` says, with `[..]` for anything.
fn same_line(pattern: &str, line: &str) -> bool {
    match pattern.split_once("[..]") {
        None => pattern == line,
        Some((before, rest)) => line.strip_prefix(before).is_some_and(|line| {
            (0..=line.len())
                .filter(|&at| line.is_char_boundary(at))
                .any(|at| same_line(rest, &line[at..]))
        }),
    }
}

/// Whether `lines` are what `patterns` say, with `...` for any lines.
fn same(patterns: &[String], lines: &[&str]) -> bool {
    match (patterns.split_first(), lines.split_first()) {
        (None, rest) => rest.is_none(),
        (Some((any, rest)), _) if any == "..." => {
            (0..=lines.len()).any(|at| same(rest, &lines[at..]))
        }
        (Some((pattern, patterns)), Some((line, lines))) => {
            same_line(pattern, line) && same(patterns, lines)
        }
        (Some(_), None) => false,
    }
}

/// A folder that looks to the commands as the root of the repository does, with the data
/// directory of the test's host. It is always the same one, so that cargo builds little anew.
fn folder(root: &Path, data: &Path) -> PathBuf {
    let folder = root.join("target/tour");
    if folder.exists() {
        std::fs::remove_dir_all(&folder).unwrap();
    }
    std::fs::create_dir_all(folder.join("target")).unwrap();
    for shared in ["target/plugins", "docs"] {
        symlink(root.join(shared), folder.join(shared)).unwrap();
    }
    symlink(data, folder.join(".mandate")).unwrap();
    folder
}

/// All commands in one shell, so that what one sets the next has; what each printed.
fn run(lines: &[Line], folder: &Path, root: &Path, url: &str) -> Vec<String> {
    let address = url.strip_prefix("http://").unwrap();
    let mark = "=== end of a command of the tour";
    let mut script = String::new();
    for line in lines {
        let command = line.command.replace(PORT, address);
        writeln!(script, "{command}\nprintf '\\n%s\\n' '{mark}'").unwrap();
    }
    let binaries = mandate_tests::host::binary();
    let path = format!(
        "{}:{}",
        binaries.parent().unwrap().canonicalize().unwrap().display(),
        std::env::var("PATH").unwrap()
    );
    std::fs::write(folder.join("tour.sh"), script).unwrap();
    let output = Command::new("sh")
        .args(["-c", "exec 2>&1; . ./tour.sh"])
        .current_dir(folder)
        .env("PATH", path)
        .env("MANDATE_URL", url)
        .env("CARGO_TARGET_DIR", root.join("target/guest-tour"))
        .env_remove("MANDATE_TOKEN")
        .env_remove("MANDATE_DATA_DIR")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let mut printed: Vec<String> = text
        .split(&format!("\n{mark}\n"))
        .map(str::to_owned)
        .collect();
    assert_eq!(printed.pop().as_deref(), Some(""), "{text}");
    assert_eq!(printed.len(), lines.len(), "the shell ended early:\n{text}");
    printed
}

#[test]
fn the_tour_of_the_readme_is_true() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("..")
        .canonicalize()
        .unwrap();
    let plugins = root.join("target/plugins");
    assert!(
        plugins.join("research.wasm").exists(),
        "target/plugins has no plugins; build them first with `make build`"
    );
    let lines = commands(&std::fs::read_to_string(root.join("README.md")).unwrap());
    assert!(
        lines.len() > 15,
        "the README has only {} commands",
        lines.len()
    );
    let host = Host::with(&Options {
        arguments: vec!["--plugins".to_owned(), plugins.display().to_string()],
        ..Options::default()
    });
    let folder = folder(&root, host.data.path());
    let printed = run(&lines, &folder, &root, &host.url);
    let mut wrong = String::new();
    for (line, printed) in lines.iter().zip(&printed) {
        let found: Vec<&str> = printed.trim_end().lines().collect();
        if !same(&line.expected, &found) {
            let (number, command) = (line.number, &line.command);
            let expected = line.expected.join("\n");
            let found = found.join("\n");
            writeln!(
                wrong,
                "README.md, line {number}\n$ {command}\n--- the README says\n{expected}\n--- it printed\n{found}\n"
            )
            .unwrap();
        }
    }
    assert!(wrong.is_empty(), "\n{wrong}");
}

#[test]
fn commands_are_found_in_console_blocks_only() {
    let text = "```sh\n$ no\n```\n```console\n$ a 'b\n>   c'\n1\n> 2\n\n$ d\n\n```\n$ no\n";
    let line = |number, command: &str, expected: &[&str]| Line {
        number,
        command: command.to_owned(),
        expected: expected.iter().map(|&line| line.to_owned()).collect(),
    };
    let expected = [line(5, "a 'b\n  c'", &["1", "> 2"]), line(10, "d", &[])];
    assert_eq!(commands(text), expected);
}

#[test]
fn what_differs_does_not_match() {
    let same = |pattern: &str, text: &str| {
        let pattern: Vec<String> = pattern.lines().map(str::to_owned).collect();
        same(&pattern, &text.lines().collect::<Vec<_>>())
    };
    assert!(same("a[..]c", "abc") && same("[..]", "x") && same("a[..]b[..]", "axbbé"));
    assert!(!same("a[..]c", "abd") && !same("a", "b") && !same("a", "a\nb"));
    assert!(same("a\n...\nd", "a\nb\nc\nd") && same("...", "") && same("...\na", "a"));
    assert!(!same("a\n...\nd", "a\nb") && !same("...\na", "a\nb") && !same("a\nb", "a"));
}
