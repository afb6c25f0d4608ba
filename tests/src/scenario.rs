//! Scenario folders: what is sent to a host, or done on its command line, and what comes back.
//!
//! `<group>/<case>/request.http` is a request line, headers, an empty line and a body; the header
//! `as` says who sends it, and a body `< name` is one of the prepared files. `command.txt` is
//! the arguments of `mandate`, run in a folder where the prepared files are; a line `as: name`
//! says whose token it has. `{{name}}` stands for what the tests prepared. `expected.txt` holds
//! all that comes back; `UPDATE=1` writes it anew.

use crate::host::binary;
use crate::{Answer, Client};
use reqwest::Method;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What scenarios can name.
#[derive(Default)]
pub struct Prepared {
    /// Whom `as` can name.
    pub clients: BTreeMap<String, Client>,
    /// What `{{name}}` stands for.
    pub values: BTreeMap<String, String>,
    /// What `< name` stands for.
    pub files: BTreeMap<String, Vec<u8>>,
    /// A folder with those files.
    pub folder: PathBuf,
}

/// One folder.
#[derive(Clone, Debug)]
pub struct Case {
    /// `<group>/<case>`
    pub name: String,
    dir: PathBuf,
}

/// All cases below `tests/scenarios`, in order of their names.
pub fn cases() -> Vec<Case> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios");
    let mut found = Vec::new();
    for group in folders(&root) {
        for dir in folders(&group) {
            let name = dir.strip_prefix(&root).unwrap().display().to_string();
            found.push(Case { name, dir });
        }
    }
    assert!(
        !found.is_empty(),
        "there are no scenarios in {}",
        root.display()
    );
    found
}

fn folders(dir: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(dir).unwrap_or_else(|e| panic!("{}: {e}", dir.display()));
    let mut dirs: Vec<_> = entries
        .map(|e| e.unwrap().path())
        .filter(|p| p.is_dir())
        .collect();
    dirs.sort();
    dirs
}

impl Case {
    /// Plays the case; the difference, if what came is not what was expected.
    pub async fn play(&self, prepared: &Prepared) -> Option<String> {
        let request = self.dir.join("request.http");
        let came = if request.exists() {
            let text = std::fs::read_to_string(request).unwrap();
            answer_text(&send(&text, prepared).await)
        } else {
            let text = std::fs::read_to_string(self.dir.join("command.txt")).unwrap();
            run(&text, prepared)
        };
        let came = prepared.plain(&came);
        let file = self.dir.join("expected.txt");
        if std::env::var_os("UPDATE").is_some() {
            std::fs::write(&file, &came).unwrap();
            return None;
        }
        let expected = std::fs::read_to_string(&file).unwrap_or_default();
        (expected != came)
            .then(|| format!("== {}\n-- expected\n{expected}\n-- came\n{came}", self.name))
    }
}

async fn send(text: &str, prepared: &Prepared) -> Answer {
    let (head, body) = text.split_once("\n\n").unwrap_or((text, ""));
    let mut head = head.lines();
    let first = prepared.filled(head.next().unwrap());
    let (method, path) = first.split_once(' ').unwrap();
    let headers: Vec<(&str, String)> = head
        .map(|line| line.split_once(": ").unwrap())
        .map(|(name, value)| (name, prepared.filled(value)))
        .collect();
    let who = headers
        .iter()
        .find(|(name, _)| *name == "as")
        .map_or("admin", |(_, who)| who);
    let client = prepared.clients[who].unpooled();
    let mut request = client.request(Method::from_bytes(method.as_bytes()).unwrap(), path);
    for (name, value) in headers.iter().filter(|(name, _)| *name != "as") {
        request = request.header(*name, value);
    }
    let body = body.strip_suffix('\n').unwrap_or(body);
    let body = match body.strip_prefix("< ") {
        Some(name) => prepared.files[name].clone(),
        None => prepared.filled(body).into_bytes(),
    };
    if !body.is_empty() {
        request = request.body(body);
    }
    client.send(request).await
}

fn answer_text(answer: &Answer) -> String {
    let kind = answer.header("content-type");
    let body = match serde_json::from_str::<Value>(&answer.text) {
        Ok(json) => serde_json::to_string_pretty(&json).unwrap(),
        Err(_) => answer.text.clone(),
    };
    let mut text = format!("{} {kind}\n", answer.status);
    for name in ["allow", "www-authenticate"] {
        if answer.headers.contains_key(name) {
            text.push_str(&format!("{name}: {}\n", answer.header(name)));
        }
    }
    text.push_str(&format!("\n{}\n", body.trim_end()));
    text
}

fn run(text: &str, prepared: &Prepared) -> String {
    let (mut who, mut line) = ("admin", "");
    for part in text.lines() {
        match part.strip_prefix("as: ") {
            Some(name) => who = name,
            None => line = part,
        }
    }
    let client = &prepared.clients[who];
    let line = prepared.filled(line);
    let output = Command::new(binary())
        .args(line.split_whitespace().skip(1))
        .current_dir(&prepared.folder)
        .env("MANDATE_URL", client.url())
        .env("MANDATE_TOKEN", client.token())
        .env("NO_COLOR", "1")
        .env("COLUMNS", "100")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    format!(
        "exit {}\n\n-- stdout\n{}-- stderr\n{}",
        output.status.code().unwrap_or(-1),
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    )
}

impl Prepared {
    /// `text` with the values in place of their names.
    fn filled(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for (name, value) in &self.values {
            text = text.replace(&format!("{{{{{name}}}}}"), value);
        }
        assert!(!text.contains("{{"), "nothing is prepared for {text}");
        text
    }

    /// `text` with names in place of what is different each time.
    fn plain(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for (name, value) in &self.values {
            text = text.replace(value, &format!("{{{{{name}}}}}"));
        }
        stable(&text)
    }
}

/// Replaces ids, digests and times, which nobody can know beforehand.
fn stable(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let word: &str = &rest[..rest
            .find(|c: char| !(c.is_ascii_alphanumeric() || "-:.".contains(c)))
            .unwrap_or(rest.len())];
        if word.is_empty() {
            out.push(first);
            rest = &rest[first.len_utf8()..];
            continue;
        }
        out.push_str(&known(word));
        rest = &rest[word.len()..];
    }
    out
}

fn known(word: &str) -> String {
    for prefix in ["task", "exec", "inv"] {
        let id = word
            .strip_prefix(prefix)
            .and_then(|rest| rest.strip_prefix('-'));
        if id.is_some_and(|id| id.len() == 26) {
            return format!("<{prefix} id>");
        }
    }
    if word.len() == 64 && word.bytes().all(|b| b.is_ascii_hexdigit()) {
        return "<digest>".to_owned();
    }
    let bytes = word.as_bytes();
    if word.len() >= 20 && bytes[4] == b'-' && bytes[10] == b'T' && word.ends_with('Z') {
        return "<time>".to_owned();
    }
    word.to_owned()
}

/// A section of a WebAssembly file.
pub fn section(name: &str, data: &[u8]) -> Vec<u8> {
    let mut body = leb(name.len());
    body.extend(name.as_bytes());
    body.extend(data);
    let mut bytes = vec![0];
    bytes.extend(leb(body.len()));
    bytes.extend(body);
    bytes
}

fn leb(mut number: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let low = u8::try_from(number & 0x7f).unwrap();
        number >>= 7;
        if number == 0 {
            bytes.push(low);
            return bytes;
        }
        bytes.push(low | 0x80);
    }
}
