//! The parameters of a query, read strictly.

use crate::api::error::ApiError;
use axum::extract::{FromRequestParts, Query};
use axum::http::request::Parts;
use mandate_types::{Problem, Timestamp};
use std::fmt::Display;
use std::str::FromStr;

/// The most items of a page.
pub const MOST_ITEMS: u32 = 1_000;
/// How many items a page has when nothing is said.
const SOME_ITEMS: u32 = 50;

/// The parameters of the query, each taken once; what nobody takes is refused.
pub struct Params {
    pairs: Vec<(String, String)>,
    known: Vec<&'static str>,
}

impl<S: Send + Sync> FromRequestParts<S> for Params {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        match Query::<Vec<(String, String)>>::try_from_uri(&parts.uri) {
            Ok(Query(pairs)) => Ok(Self::new(pairs)),
            Err(rejection) => Err(Problem::new(
                400,
                "bad-query",
                "The query is not valid",
                rejection.body_text(),
            )
            .into()),
        }
    }
}

impl Params {
    /// These parameters.
    pub fn new(pairs: Vec<(String, String)>) -> Self {
        Self {
            pairs,
            known: Vec::new(),
        }
    }

    /// All values of `name`: repeated, or one list with commas.
    pub fn many(&mut self, name: &'static str) -> Vec<String> {
        self.known.push(name);
        let mut found = Vec::new();
        self.pairs.retain(|(key, value)| {
            if key == name {
                found.extend(value.split(',').map(|item| item.trim().to_owned()));
            }
            key != name
        });
        found.retain(|item| !item.is_empty());
        found
    }

    /// The value of `name`, if it is there.
    ///
    /// # Errors
    /// When it is there more than once.
    pub fn text(&mut self, name: &'static str) -> Result<Option<String>, Problem> {
        self.known.push(name);
        let mut found = Vec::new();
        self.pairs.retain_mut(|(key, value)| {
            if key == name {
                found.push(std::mem::take(value));
            }
            key != name
        });
        if found.len() > 1 {
            return Err(Problem::invalid_field(name, "one value"));
        }
        Ok(found.pop())
    }

    /// The value of `name` as a type that says itself what it expects.
    ///
    /// # Errors
    /// When it does not read.
    pub fn parsed<T>(&mut self, name: &'static str) -> Result<Option<T>, Problem>
    where
        T: FromStr,
        T::Err: Display,
    {
        self.text(name)?.map(|text| read(name, &text)).transpose()
    }

    /// All values of `name` as a type.
    ///
    /// # Errors
    /// When one does not read.
    pub fn many_parsed<T>(&mut self, name: &'static str) -> Result<Vec<T>, Problem>
    where
        T: FromStr,
        T::Err: Display,
    {
        self.many(name)
            .iter()
            .map(|text| read(name, text))
            .collect()
    }

    /// The value of `name` as a time.
    ///
    /// # Errors
    /// When it is no RFC 3339 time.
    pub fn time(&mut self, name: &'static str) -> Result<Option<Timestamp>, Problem> {
        let Some(text) = self.text(name)? else {
            return Ok(None);
        };
        let time = Timestamp::parse(&text);
        // A `+` in a query is a space: the offset of a time loses its sign that way.
        let time = time.or_else(|| Timestamp::parse(&text.replace(' ', "+")));
        time.map(Some).ok_or_else(|| {
            Problem::invalid_field(name, "an RFC 3339 time such as 2026-01-31T12:00:00Z")
        })
    }

    /// `limit`: 1–1000, 50 when absent.
    ///
    /// # Errors
    /// When it is something else.
    pub fn limit(&mut self) -> Result<u32, Problem> {
        let Some(text) = self.text("limit")? else {
            return Ok(SOME_ITEMS);
        };
        match text.parse() {
            Ok(limit) if (1..=MOST_ITEMS).contains(&limit) => Ok(limit),
            _ => Err(Problem::invalid_field(
                "limit",
                format!("a number from 1 to {MOST_ITEMS}"),
            )),
        }
    }

    /// All whose name begins with `prefix`, without it; `shown` stands for them where the known
    /// parameters are named.
    pub fn prefixed(&mut self, prefix: &str, shown: &'static str) -> Vec<(String, String)> {
        self.known.push(shown);
        let mut found = Vec::new();
        self.pairs.retain_mut(|(key, value)| {
            let name = key.strip_prefix(prefix).filter(|name| !name.is_empty());
            if let Some(name) = name {
                found.push((name.to_owned(), std::mem::take(value)));
            }
            name.is_none()
        });
        found
    }

    /// What nobody took.
    pub fn rest(self) -> Vec<(String, String)> {
        self.pairs
    }

    /// Nothing else was meant to be there.
    ///
    /// # Errors
    /// When something is.
    pub fn finish(self) -> Result<(), Problem> {
        let Some((name, _)) = self.pairs.first() else {
            return Ok(());
        };
        let name: String = name.chars().take(80).collect();
        let known = self.known.join(", ");
        let expected = if known.is_empty() {
            "no parameters".to_owned()
        } else {
            format!("one of {known}")
        };
        let detail = format!("`{name}` is not a parameter of this route: expected {expected}");
        Err(Problem::invalid(detail).with_field(name, expected))
    }
}

fn read<T>(name: &str, text: &str) -> Result<T, Problem>
where
    T: FromStr,
    T::Err: Display,
{
    text.parse().map_err(|error: T::Err| {
        let error = error.to_string();
        Problem::invalid(format!("`{name}`: {error}")).with_field(name, error)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use mandate_types::TaskStatus;

    fn params(text: &str) -> Params {
        let uri = format!("http://x/?{text}").parse().unwrap();
        Params::new(
            Query::<Vec<(String, String)>>::try_from_uri(&uri)
                .unwrap()
                .0,
        )
    }

    #[test]
    fn parameters_are_taken_once_and_leave_nothing() {
        let mut query = params("status=failed,running&status=pending&limit=7&kind=a%20b");
        assert_eq!(
            query.many_parsed::<TaskStatus>("status").unwrap(),
            [TaskStatus::Failed, TaskStatus::Running, TaskStatus::Pending]
        );
        assert_eq!(query.limit().unwrap(), 7);
        assert_eq!(query.text("kind").unwrap().as_deref(), Some("a b"));
        query.finish().unwrap();
        let mut query = params("colour=red");
        query.limit().unwrap();
        let problem = query.finish().unwrap_err();
        assert!(problem.detail.contains("colour") && problem.detail.contains("limit"));
    }

    #[test]
    fn bad_parameters_say_what_is_expected() {
        assert!(
            params("status=done")
                .many_parsed::<TaskStatus>("status")
                .unwrap_err()
                .detail
                .contains("succeeded")
        );
        for bad in ["limit=0", "limit=1001", "limit=x", "limit=1&limit=2"] {
            assert_eq!(
                params(bad).limit().unwrap_err().fields[0].field,
                "limit",
                "{bad}"
            );
        }
        assert!(params("t=yesterday").time("t").is_err());
        assert!(
            params("t=2026-01-31T12:00:00+01:00")
                .time("t")
                .unwrap()
                .is_some()
        );
    }
}
