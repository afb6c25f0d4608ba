//! A text that a regular expression matches.

use regex_syntax::hir::{Class, Hir, HirKind};

/// Longer texts are nobody's wish.
const MAX_CHARS: usize = 4096;

/// A text of `min` to `max` characters that `pattern` matches, built by repeating what may be
/// repeated only as often as needed; none when there is no such text or it is not found.
pub(super) fn example(pattern: &str, min: usize, max: usize) -> Option<String> {
    let hir = regex_syntax::parse(pattern).ok()?;
    for more in (0..=16).chain([min]) {
        let mut text = String::new();
        write(&hir, u32::try_from(more).ok()?, &mut text)?;
        let chars = text.chars().count();
        if (min..=max).contains(&chars) {
            return Some(text);
        }
    }
    // The pattern may be open at its end.
    let mut text = String::new();
    write(&hir, 0, &mut text)?;
    let missing = min.checked_sub(text.chars().count())?;
    if pattern.ends_with('$') || missing > MAX_CHARS {
        return None;
    }
    text.extend(std::iter::repeat_n('a', missing));
    Some(text)
}

fn write(hir: &Hir, more: u32, text: &mut String) -> Option<()> {
    if text.len() > MAX_CHARS {
        return None;
    }
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => Some(()),
        HirKind::Literal(literal) => {
            text.push_str(std::str::from_utf8(&literal.0).ok()?);
            Some(())
        }
        HirKind::Class(class) => {
            text.push(pick(class)?);
            Some(())
        }
        HirKind::Repetition(repetition) => {
            let times = repetition
                .min
                .max(more)
                .min(repetition.max.unwrap_or(u32::MAX));
            for _ in 0..times {
                let before = text.len();
                write(&repetition.sub, more, text)?;
                // Nothing, however often, is nothing.
                if text.len() == before {
                    break;
                }
            }
            Some(())
        }
        HirKind::Capture(capture) => write(&capture.sub, more, text),
        HirKind::Concat(parts) => parts.iter().try_for_each(|part| write(part, more, text)),
        HirKind::Alternation(branches) => write(branches.first()?, more, text),
    }
}

/// The plainest character of a class: a letter, else a digit, else what can be printed.
fn pick(class: &Class) -> Option<char> {
    let Class::Unicode(class) = class else {
        return None;
    };
    let contains = |c: &char| class.iter().any(|r| r.start() <= *c && *c <= r.end());
    ('a'..='z')
        .chain('A'..='Z')
        .chain('0'..='9')
        .chain(' '..='~')
        .find(contains)
        .or_else(|| class.iter().next().map(|range| range.start()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn built_to_length() {
        assert_eq!(
            example("^[A-Z]{3}-[0-9]+$", 0, 99).as_deref(),
            Some("AAA-0")
        );
        assert_eq!(
            example("^[A-Z]{3}-[0-9]+$", 8, 9).as_deref(),
            Some("AAA-0000")
        );
        assert_eq!(example("^(red|blue)$", 0, 99).as_deref(), Some("red"));
        assert_eq!(example("x", 3, 9).as_deref(), Some("xaa"));
        assert_eq!(example("^a$", 2, 9), None);
        assert_eq!(example("(", 0, 9), None);
        assert_eq!(example("^(){4000000000}b$", 0, 9).as_deref(), Some("b"));
        assert_eq!(example("^(a{1000}){1000}$", 0, usize::MAX), None);
    }
}
