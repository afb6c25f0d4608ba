//! How texts are looked at: byte by byte, with nothing outside of them.

/// The byte at `at`; 0 outside, which no rule takes for a part of anything.
pub(super) fn at(text: &[u8], at: usize) -> u8 {
    text.get(at).copied().unwrap_or(0)
}

/// The byte before `at`; 0 at the beginning.
pub(super) fn before(text: &[u8], at: usize) -> u8 {
    at.checked_sub(1).map_or(0, |place| self::at(text, place))
}

/// `text[start..end]`; empty where there is no such place.
pub(super) fn part(text: &[u8], start: usize, end: usize) -> &[u8] {
    text.get(start..end).unwrap_or_default()
}

/// Where the bytes that are `like` this end, from `start` on, `most` at most.
pub(super) fn run(text: &[u8], start: usize, most: usize, like: impl Fn(u8) -> bool) -> usize {
    let rest = part(text, start, text.len().min(start.saturating_add(most)));
    start + rest.iter().take_while(|byte| like(**byte)).count()
}

/// Where the bytes that are `like` this begin, back from `end`, `most` at most.
pub(super) fn run_back(text: &[u8], end: usize, most: usize, like: impl Fn(u8) -> bool) -> usize {
    let rest = part(text, end.saturating_sub(most), end);
    end - rest.iter().rev().take_while(|byte| like(**byte)).count()
}

/// Letters, digits and `_`, and what is not ASCII: a shape that begins or ends here is none.
pub(super) fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80
}

/// What names are made of.
pub(super) fn is_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-')
}
