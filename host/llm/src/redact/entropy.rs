//! Words that only a machine makes: keys without a shape, told from names, hashes and encoded text.
//!
//! A word is taken if it has capitals, small letters and digits, is long, and is as mixed as chance
//! mixes. So hashes, ids of traces, commits, UUIDs and ULIDs stay, which have two of the three: who
//! operates something needs them. The price: a key in hexadecimal is found by its name alone.

use super::address::decoded;
use super::bytes::{is_name, part, run_back};

/// Shortest word.
pub(super) const LEAST: usize = 24;
/// Longest; what is longer is content.
const MOST: usize = 200;
/// Least bits of a byte.
const BITS: f32 = 3.6;

/// Beginnings of what is random and known to all: sums, SSH's public keys, and files in base64.
const KNOWN: [&[u8]; 14] = [
    b"sha1-",
    b"sha256-",
    b"sha384-",
    b"sha512-",
    b"AAAAB3NzaC1",
    b"AAAAC3NzaC1",
    b"AAAAE2VjZHNh",
    b"H4sI",
    b"iVBORw0KGgo",
    b"/9j/",
    b"R0lGOD",
    b"JVBERi0",
    b"UEsDB",
    b"MII",
];

/// Ends of names whose values are random and no secret.
const NAMES: [&[u8]; 18] = [
    b"id",
    b"id2",
    b"hash",
    b"sum",
    b"digest",
    b"fingerprint",
    b"etag",
    b"integrity",
    b"nonce",
    b"cursor",
    b"h1",
    b"sha1",
    b"sha256",
    b"sha512",
    b"md5",
    b"revision",
    b"version",
    b"marker",
];

/// Whether the word `start..end` of letters, digits and `_+/-` is one that chance made.
pub(super) fn is_random(text: &[u8], start: usize, end: usize) -> bool {
    let word = part(text, start, end);
    (LEAST..=MOST).contains(&word.len())
        && is_mixed(word)
        && bits(word) >= BITS
        && !KNOWN.iter().any(|known| word.starts_with(known))
        && !is_known(text, start)
        && !decoded(word).is_some_and(|plain| is_text(&plain))
}

/// Whether letters of one case do not stay together, as they do in names.
fn is_mixed(word: &[u8]) -> bool {
    let class = |byte: &u8| match byte {
        b'a'..=b'z' => 0,
        b'A'..=b'Z' => 1,
        b'0'..=b'9' => 2,
        _ => 3,
    };
    let signs = word.iter().filter(|byte| class(byte) == 3).count();
    let together: usize = word
        .chunk_by(|one, other| class(one) == class(other))
        .map(|run| {
            if run.first().is_some_and(|byte| class(byte) != 3) && run.len() >= 4 {
                run.len()
            } else {
                0
            }
        })
        .sum();
    let changes = word
        .chunk_by(|one, other| class(one) == class(other))
        .count()
        - 1;
    signs * 8 <= word.len() && together * 5 <= word.len() * 2 && changes * 5 >= word.len() * 2
}

/// Bits of a byte, by Shannon.
fn bits(word: &[u8]) -> f32 {
    let mut counts = [0u16; 128];
    for byte in word {
        if let Some(count) = counts.get_mut(usize::from(*byte)) {
            *count += 1;
        }
    }
    let all = word.len() as f32;
    let bits = counts.iter().filter(|count| **count > 0).map(|count| {
        let share = f32::from(*count) / all;
        -share * share.log2()
    });
    bits.sum()
}

/// Whether the name before the word says that it is no secret.
fn is_known(text: &[u8], start: usize) -> bool {
    let sign = run_back(text, start, 6, |byte| {
        matches!(
            byte,
            b'"' | b'\'' | b':' | b'=' | b' ' | b'\\' | b'[' | b'/'
        )
    });
    let name = part(text, run_back(text, sign, 32, is_name), sign);
    let mut plain = name.to_ascii_lowercase();
    plain.retain(u8::is_ascii_alphanumeric);
    sign < start && NAMES.iter().any(|name| plain.ends_with(name))
}

/// Whether somebody can read it.
fn is_text(plain: &[u8]) -> bool {
    let readable = |c: &char| !c.is_control() || c.is_whitespace();
    std::str::from_utf8(plain)
        .is_ok_and(|plain| plain.chars().filter(readable).count() * 10 >= plain.chars().count() * 9)
}
