//! `{{secret:NAME}}` and `{{hmac-sha256:NAME}}` in the value of a header.

use mandate_policy::http::is_secret_name;

const SECRET: &str = "{{secret:";
const SIGNATURE: &str = "{{hmac-sha256:";
const CLOSE: &str = "}}";

/// A piece of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part<'a> {
    /// As it is.
    Text(&'a str),
    /// The secret of this name.
    Secret(&'a str),
    /// HMAC-SHA256 of the request's body under the secret of this name, in hexadecimal.
    Signature(&'a str),
}

/// The pieces of `value`.
///
/// # Errors
/// What is wrong with a place for a secret.
pub fn parts(value: &str) -> Result<Vec<Part<'_>>, String> {
    let mut parts = Vec::new();
    let mut rest = value;
    while let Some((at, open)) = next(rest) {
        let (before, after) = rest.split_at(at);
        let after = after.strip_prefix(open).unwrap_or_default();
        let name = after.split_once(CLOSE);
        let Some((name, after)) = name.filter(|(name, _)| is_secret_name(name)) else {
            return Err(format!(
                "`{open}` is not followed by a name and `{CLOSE}`; expected `{open}NAME{CLOSE}`"
            ));
        };
        if !before.is_empty() {
            parts.push(Part::Text(before));
        }
        parts.push(if open == SECRET {
            Part::Secret(name)
        } else {
            Part::Signature(name)
        });
        rest = after;
    }
    if !rest.is_empty() {
        parts.push(Part::Text(rest));
    }
    Ok(parts)
}

/// Where the next place is, and how it begins.
fn next(text: &str) -> Option<(usize, &'static str)> {
    [SECRET, SIGNATURE]
        .into_iter()
        .filter_map(|open| Some((text.find(open)?, open)))
        .min()
}

/// The names of the secrets that `value` has places for.
///
/// # Errors
/// What is wrong with such a place.
pub fn secret_names(value: &str) -> Result<Vec<&str>, String> {
    let parts = parts(value)?.into_iter();
    Ok(parts
        .filter_map(|part| match part {
            Part::Secret(name) | Part::Signature(name) => Some(name),
            Part::Text(_) => None,
        })
        .collect())
}

/// What stands where the value of `name` was.
pub fn place(name: &str) -> String {
    format!("{SECRET}{name}{CLOSE}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_found_and_broken_ones_told() {
        assert_eq!(
            parts("Bearer {{secret:A}}:{{secret:b-2}}!").unwrap(),
            [
                Part::Text("Bearer "),
                Part::Secret("A"),
                Part::Text(":"),
                Part::Secret("b-2"),
                Part::Text("!")
            ]
        );
        assert_eq!(
            parts("v1={{hmac-sha256:K}} {{secret:A}}").unwrap(),
            [
                Part::Text("v1="),
                Part::Signature("K"),
                Part::Text(" "),
                Part::Secret("A")
            ]
        );
        assert_eq!(secret_names("{{hmac-sha256:K}}").unwrap(), ["K"]);
        assert!(secret_names("{{other}} {secret:A}").unwrap().is_empty());
        for broken in [
            "{{secret:A",
            "{{secret:}}",
            "{{secret:A B}}",
            "{{secret:{{secret:A}}}}",
            "{{hmac-sha256:A",
            "{{hmac-sha256:}}",
        ] {
            assert!(parts(broken).is_err(), "{broken}");
        }
    }
}
