//! Tool names as providers take them: letters, digits, `_` and `-`, at most 64. Those of a
//! conversation are told apart also when they look alike then.

use crate::Request;
use std::collections::HashMap;

const LONGEST: usize = 64;

/// The names of one request, there and back.
#[derive(Debug, Default)]
pub struct Names {
    there: HashMap<String, String>,
    back: HashMap<String, String>,
}

impl Names {
    /// Of everything that `request` names: what it offers, and what was called before.
    pub fn of(request: &Request) -> Self {
        let offered = request.tools.iter().map(|tool| tool.name.as_str());
        let called = request.messages.iter().flat_map(|message| {
            let calls = message.tool_calls.iter();
            calls.map(|call| call.name.as_str())
        });
        Self::from_iter(offered.chain(called))
    }

    /// Of the ids of all calls, which have the same form.
    pub fn of_calls(request: &Request) -> Self {
        let calls = request.messages.iter().flat_map(|m| &m.tool_calls);
        Self::from_iter(calls.map(|call| call.id.as_str()))
    }

    fn add(&mut self, name: &str) {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
        let base: String = name
            .chars()
            .map(|c| if is_plain(c) { c } else { '_' })
            .take(LONGEST)
            .collect();
        let mut plain = base.clone();
        let mut number = 1;
        while self.back.contains_key(&plain) {
            number += 1;
            let tail = format!("_{number}");
            // All of it is ASCII by now.
            plain = base.chars().take(LONGEST - tail.len()).collect();
            plain.push_str(&tail);
        }
        self.back.insert(plain.clone(), name.to_owned());
        self.there.insert(name.to_owned(), plain);
    }

    /// As the provider takes it.
    pub fn there<'a>(&'a self, name: &'a str) -> &'a str {
        self.there.get(name).map_or(name, String::as_str)
    }

    /// As the request has it; what the model made up stays as it is.
    pub fn back(&self, name: &str) -> String {
        self.back
            .get(name)
            .cloned()
            .unwrap_or_else(|| name.to_owned())
    }
}

impl<'a> FromIterator<&'a str> for Names {
    fn from_iter<I: IntoIterator<Item = &'a str>>(all: I) -> Self {
        let mut names = Self::default();
        for name in all {
            if !names.there.contains_key(name) {
                names.add(name);
            }
        }
        names
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_looks_alike_is_told_apart() {
        let mut names = Names::default();
        for name in ["a.b", "a_b", "a/b", &"x".repeat(80), &"x".repeat(90)] {
            names.add(name);
        }
        let there: Vec<&str> = ["a.b", "a_b", "a/b"].map(|name| names.there(name)).into();
        assert_eq!(there, ["a_b", "a_b_2", "a_b_3"]);
        for (name, plain) in &names.there {
            assert!(plain.len() <= LONGEST, "{plain}");
            assert_eq!(names.back(plain), *name);
        }
        assert_eq!(names.back("made up"), "made up");
    }
}
