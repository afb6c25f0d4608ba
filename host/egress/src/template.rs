//! `{{secret:NAME}}` in the value of a header.

use mandate_policy::http::is_secret_name;

const OPEN: &str = "{{secret:";
const CLOSE: &str = "}}";

/// A piece of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part<'a> {
    /// As it is.
    Text(&'a str),
    /// The secret of this name.
    Secret(&'a str),
}

/// The pieces of `value`.
///
/// # Errors
/// What is wrong with a place for a secret.
pub fn parts(value: &str) -> Result<Vec<Part<'_>>, String> {
    let mut parts = Vec::new();
    let mut rest = value;
    while let Some((before, after)) = rest.split_once(OPEN) {
        let name = after.split_once(CLOSE);
        let Some((name, after)) = name.filter(|(name, _)| is_secret_name(name)) else {
            return Err(format!(
                "`{OPEN}` is not followed by a name and `{CLOSE}`; expected `{{{{secret:NAME}}}}`"
            ));
        };
        if !before.is_empty() {
            parts.push(Part::Text(before));
        }
        parts.push(Part::Secret(name));
        rest = after;
    }
    if !rest.is_empty() {
        parts.push(Part::Text(rest));
    }
    Ok(parts)
}

/// The names of the secrets that `value` has places for.
///
/// # Errors
/// What is wrong with such a place.
pub fn secret_names(value: &str) -> Result<Vec<&str>, String> {
    let parts = parts(value)?.into_iter();
    Ok(parts
        .filter_map(|part| match part {
            Part::Secret(name) => Some(name),
            Part::Text(_) => None,
        })
        .collect())
}

/// What stands where the value of `name` was.
pub fn place(name: &str) -> String {
    format!("{OPEN}{name}{CLOSE}")
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
        assert!(secret_names("{{other}} {secret:A}").unwrap().is_empty());
        for broken in [
            "{{secret:A",
            "{{secret:}}",
            "{{secret:A B}}",
            "{{secret:{{secret:A}}}}",
        ] {
            assert!(parts(broken).is_err(), "{broken}");
        }
    }
}
