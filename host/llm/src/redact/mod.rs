//! Secrets and personal data leave no prompt: placeholders stand for them, and the answer gets them back.
//!
//! A placeholder is `[EMAIL_1]`: the kind, and the place in the order of first appearance. The same
//! original has the same one within a request, and, because conversations grow at their end, in the
//! requests after it, so that providers' caches hit and the model's words stay true. A name that
//! somebody wrote into the request is passed over: no text can make itself another's secret.
//!
//! What is missed leaves, and what is taken too much costs the model the sight of it, not its use:
//! a tool that it calls with a placeholder gets the original. What is found and what is not is
//! measured in `docs/redaction.md`.

mod address;
mod bytes;
mod entropy;
mod find;
mod kind;
mod labels;
mod numbers;
mod phone;
mod redacted;
mod shapes;
#[cfg(test)]
mod tests;
mod value;
mod walk;

pub use redacted::{Placeholders, Redacted, Restorer};

use crate::Request;
use find::Finder;
use kind::Find;
use redacted::Names;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// What is looked for beside secrets, e-mail addresses, telephone, card and account numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// IP addresses, too: personal for users of a service, and what operations work with.
    pub ip: bool,
}

/// Finds what must not leave; built once and shared.
pub struct Redactor {
    finder: Finder,
}

impl Redactor {
    /// One that looks for what `settings` say.
    pub fn new(settings: Settings) -> Self {
        Self {
            finder: Finder::new(settings.ip),
        }
    }

    /// The request without what was found, and how to put it back; none when nothing was found.
    ///
    /// Answers are restored before they are held against the request's schemas, whose values may
    /// have been replaced.
    pub fn request(&self, request: &Request) -> Option<(Request, Redacted)> {
        self.redact(|mut edit| walk::request(request, &mut edit))
    }

    /// As [`Self::request`], for texts.
    pub fn texts(&self, texts: &[String]) -> Option<(Vec<String>, Redacted)> {
        self.redact(|mut edit| walk::texts(texts, &mut edit))
    }

    /// Walks over all texts: to find, to see which names are taken, and only then to replace.
    fn redact<T>(&self, walk: impl Fn(Edit<'_>) -> Option<T>) -> Option<(T, Redacted)> {
        let mut finds = VecDeque::new();
        let mut any = false;
        let _ = walk(&mut |name, text| {
            let found = self.finder.find(name, text);
            any |= !found.is_empty();
            finds.push_back(found);
            None
        });
        if !any {
            return None;
        }
        let mut names = Names::default();
        let _ = walk(&mut |_, text| {
            names.take(text);
            None
        });
        let redacted = walk(&mut |_, text| replace(text, &finds.pop_front()?, &mut names))?;
        Some((redacted, names.redacted()))
    }
}

type Edit<'a> = &'a mut dyn FnMut(Option<&str>, &str) -> Option<String>;

/// `text` with names for what was found in it.
fn replace(text: &str, finds: &[Find], names: &mut Names) -> Option<String> {
    finds.first()?;
    let mut out = String::with_capacity(text.len());
    let mut done = 0;
    for find in finds {
        let Some((before, original)) = text
            .get(done..find.start)
            .zip(text.get(find.start..find.end))
        else {
            continue;
        };
        out.push_str(before);
        out.push_str(names.name(find.kind, original));
        done = find.end;
    }
    out.push_str(text.get(done..)?);
    Some(out)
}
