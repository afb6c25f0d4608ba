//! Whether what is written after a name is the secret itself, or only a word about it.

use super::bytes::at;

/// What is said of a password instead of it.
const WORDS: [&str; 34] = [
    "required",
    "invalid",
    "incorrect",
    "string",
    "null",
    "none",
    "true",
    "false",
    "missing",
    "expired",
    "changed",
    "empty",
    "must",
    "field",
    "wrong",
    "failed",
    "optional",
    "unset",
    "reset",
    "hidden",
    "redacted",
    "masked",
    "unknown",
    "undefined",
    "rejected",
    "accepted",
    "protected",
    "disabled",
    "enabled",
    "correct",
    "authentication",
    "prompt",
    "secret",
    "password",
];

/// What templates, masks and this redaction itself put into a value.
const MARKS: [&str; 10] = [
    "{{",
    "${",
    "[REDACTED",
    "<redacted",
    "[SECRET_",
    "[EMAIL_",
    "[IBAN_",
    "[CARD_",
    "[PHONE_",
    "[IP_",
];

/// Stands for a value: a variable, a template, a mask, or what was put here before.
fn is_stand_in(value: &[u8]) -> bool {
    let first = at(value, 0);
    let is_variable = match first {
        // `$2b$…` and `$argon2…` are hashes of passwords, and kept as close.
        b'$' => !at(value, 1).is_ascii_digit() && !value.starts_with(b"$argon"),
        b'{' | b'<' | b'[' => true,
        b'%' => matches!(at(value, 1), b'(' | b'{' | b's' | b'v' | b'q'),
        _ => false,
    };
    let is_mask = value.iter().all(|byte| *byte == first) || value.starts_with(b"***");
    let is_marked = MARKS.iter().any(|mark| {
        value
            .windows(mark.len())
            .any(|part| part == mark.as_bytes())
    });
    is_variable || is_mask || is_marked
}

fn is_any(value: &[u8], words: &[&str]) -> bool {
    words
        .iter()
        .any(|word| value.eq_ignore_ascii_case(word.as_bytes()))
}

/// Whether `value` is a password; nearly everything is.
pub(super) fn is_password(name: &[u8], value: &[u8]) -> bool {
    let is_directory =
        name.to_ascii_lowercase().ends_with(b"pwd") && matches!(at(value, 0), b'/' | b'~');
    value.len() >= 4
        && !is_stand_in(value)
        && !is_any(value, &WORDS)
        && !is_directory
        && !is_code(value)
}

/// `os.environ`, `config.db.password`: where code gets it from.
fn is_code(value: &[u8]) -> bool {
    let parts = value.split(|byte| *byte == b'.');
    let is_names = value.split(|byte| *byte == b'.').all(|part| {
        at(part, 0).is_ascii_alphabetic()
            && part
                .iter()
                .all(|byte| byte.is_ascii_alphabetic() || *byte == b'_')
    });
    parts.count() > 1 && is_names
}

/// Whether `value` may be a token or a key: long, and no name of one.
pub(super) fn is_likely_secret(value: &[u8]) -> bool {
    is_token(value) && !is_named(value)
}

/// Whether `value` may be a token where nobody writes names.
pub(super) fn is_token(value: &[u8]) -> bool {
    let has = |kind: fn(&u8) -> bool| value.iter().any(kind);
    let is_mixed = has(u8::is_ascii_digit)
        || (has(u8::is_ascii_uppercase) && has(u8::is_ascii_lowercase) && value.len() >= 16);
    value.len() >= 8
        && has(u8::is_ascii_alphabetic)
        && is_mixed
        && !value.contains(&b' ')
        && !is_stand_in(value)
        && !is_code(value)
}

/// `db-credentials-2`, `secret/data/app-x7k2p`, `tls.crt`: names and paths that people and clusters give.
fn is_named(value: &[u8]) -> bool {
    let mut words = 0;
    let mut parts = 0;
    for piece in value.split(|byte| matches!(byte, b'-' | b'_' | b'/' | b'.' | b':' | b'@')) {
        let letters = piece
            .iter()
            .filter(|byte| byte.is_ascii_alphabetic())
            .count();
        let is_word = letters == piece.len() && is_one_word(piece);
        let is_number = letters == 0 && piece.len() <= 8;
        // What a cluster puts behind a name.
        let is_suffix = piece.len() <= 5
            || (piece.len() <= 10
                && piece
                    .iter()
                    .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')));
        if !is_word && !is_number && !is_suffix {
            return false;
        }
        parts += usize::from(!piece.is_empty());
        words += usize::from(is_word && piece.len() >= 2);
    }
    // A single word is named in letters alone: `MySecretStore`.
    words >= 1 && (parts >= 2 || value.iter().all(u8::is_ascii_alphabetic))
}

/// Of one case, or with capitals where words begin.
fn is_one_word(piece: &[u8]) -> bool {
    let capitals = piece
        .iter()
        .filter(|byte| byte.is_ascii_uppercase())
        .count();
    capitals == piece.len() || capitals * 3 <= piece.len() + 2
}

/// Whether `password` of an address is one: `http://user:password@host`.
pub(super) fn is_in_address(password: &[u8]) -> bool {
    !password.is_empty() && !is_stand_in(password)
}
