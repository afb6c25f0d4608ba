//! Addresses: passwords in those of servers, secrets of headers and options, e-mail, and IP.

use super::bytes::{at, before, is_word, part, run, run_back};
use super::value::{is_in_address, is_likely_secret, is_token};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};

/// The password of `scheme://user:password@host`, whose `://` is at `hit`.
pub(super) fn password(text: &[u8], hit: usize) -> Option<(usize, usize)> {
    let start = hit + 3;
    let is_part = |byte: u8| {
        !byte.is_ascii_whitespace()
            && !matches!(
                byte,
                b'/' | b'"' | b'\'' | b'<' | b'>' | b'`' | b'\\' | b'?'
            )
    };
    let end = run(text, start, 256, is_part);
    let authority = part(text, start, end);
    // The last `@`: people do not escape those of their passwords.
    let user_end = authority.iter().rposition(|byte| *byte == b'@')?;
    let colon = authority
        .iter()
        .take(user_end)
        .position(|byte| *byte == b':')?;
    let found = (start + colon + 1, start + user_end);
    is_in_address(part(text, found.0, found.1)).then_some(found)
}

fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~' | b'+' | b'/' | b'=')
}

/// What follows `Bearer `, `Basic ` and `token ` at `hit`.
pub(super) fn bearer(text: &[u8], hit: usize, scheme: &str) -> Option<(usize, usize)> {
    if is_word(before(text, hit)) {
        return None;
    }
    let start = hit + scheme.len();
    let end = run(text, start, usize::MAX, is_token_byte);
    let end = end - usize::from(before(text, end) == b'.');
    let token = part(text, start, end);
    let fits = match scheme {
        "basic " => decoded(token).is_some_and(|plain| plain.contains(&b':')),
        _ => {
            token.len() >= 12
                && (if scheme == "bearer " {
                    is_token(token)
                } else {
                    is_likely_secret(token)
                })
        }
    };
    fits.then_some((start, end))
}

/// The password of `-u user:password`, an option of curl and others, at `hit`.
pub(super) fn option(text: &[u8], hit: usize) -> Option<(usize, usize)> {
    let start = run(text, hit + 4, 1, |byte| matches!(byte, b'"' | b'\''));
    let colon = run(text, start, 64, |byte| {
        is_word(byte) || matches!(byte, b'-' | b'.' | b'@')
    });
    let end = run(text, colon + 1, 128, |byte| {
        !byte.is_ascii_whitespace() && !matches!(byte, b'"' | b'\'')
    });
    let password = part(text, colon + 1, end);
    // Users and groups of containers are numbers.
    let fits = at(text, colon) == b':'
        && colon > start
        && password.len() >= 4
        && !password.iter().all(u8::is_ascii_digit);
    (fits && is_in_address(password)).then_some((colon + 1, end))
}

/// What `text` is in base64 of either alphabet, if it is.
pub(super) fn decoded(text: &[u8]) -> Option<Vec<u8>> {
    let trimmed = part(text, 0, run_back(text, text.len(), 2, |byte| byte == b'='));
    let decoded = STANDARD_NO_PAD
        .decode(trimmed)
        .or_else(|_| URL_SAFE_NO_PAD.decode(trimmed))
        .ok()?;
    (!decoded.is_empty()).then_some(decoded)
}

/// Ends of what looks like a domain after an `@` and is none: units, files, and things of clouds.
const NO_DOMAINS: [&str; 25] = [
    "service",
    "socket",
    "timer",
    "target",
    "mount",
    "automount",
    "slice",
    "scope",
    "device",
    "path",
    "swap",
    "png",
    "jpg",
    "jpeg",
    "gif",
    "svg",
    "webp",
    "js",
    "ts",
    "css",
    "json",
    "yaml",
    "yml",
    "tgz",
    "gserviceaccount.com",
];

/// The e-mail address around the `@` at `hit`.
pub(super) fn email(text: &str, hit: usize) -> Option<(usize, usize)> {
    let bytes = text.as_bytes();
    let (left, right) = (text.get(..hit)?, text.get(hit + 1..)?);
    let is_local = |c: char| c.is_alphanumeric() || matches!(c, '.' | '_' | '%' | '+' | '-');
    let local: usize = left
        .chars()
        .rev()
        .take(64)
        .take_while(|c| is_local(*c))
        .map(char::len_utf8)
        .sum();
    let start = run(bytes, hit - local, local, |byte| {
        matches!(byte, b'.' | b'-' | b'+' | b'%')
    });
    let is_domain = |c: char| c.is_alphanumeric() || matches!(c, '.' | '-');
    let domain: usize = right
        .chars()
        .take(253)
        .take_while(|c| is_domain(*c))
        .map(char::len_utf8)
        .sum();
    let end = run_back(bytes, hit + 1 + domain, domain, |byte| {
        matches!(byte, b'.' | b'-')
    });
    let (local, domain) = (text.get(start..hit)?, text.get(hit + 1..end)?);
    let (name, top) = domain.rsplit_once('.')?;
    let is_top = top.chars().count() >= 2
        && (top.chars().all(char::is_alphabetic) || top.starts_with("xn--"));
    let is_name = !name.is_empty() && name.split('.').all(|label| !label.is_empty());
    // In `git@host:path` and `https://user@host` nobody is meant.
    let is_path = left.ends_with('.') || part(bytes, start.saturating_sub(2), start) == b"//";
    let is_one = !local.is_empty() && local != "git" && !is_path && at(bytes, end) != b'@';
    let lower = domain.to_ascii_lowercase();
    let is_other = NO_DOMAINS.iter().any(|other| {
        lower
            .strip_suffix(other)
            .is_some_and(|rest| rest.ends_with('.'))
    });
    (is_top && is_name && is_one && !is_other).then_some((start, end))
}

/// The IP addresses of a text, but those that name no machine.
pub(super) fn ips(text: &[u8], mut found: impl FnMut(usize, usize)) {
    let is_part = |byte: u8| byte.is_ascii_hexdigit() || matches!(byte, b'.' | b':');
    let mut place = 0;
    while place < text.len() {
        let start = place
            + part(text, place, text.len())
                .iter()
                .take_while(|byte| !is_part(**byte))
                .count();
        let end = run(text, start, usize::MAX, is_part);
        place = end + 1;
        if is_word(before(text, start)) || is_word(at(text, end)) {
            continue;
        }
        // `from 10.0.0.1: …` and `http:10.0.0.1`: neither colon is a part.
        let first = run(text, start, 1, |byte| {
            byte == b':' && at(text, start + 1) != b':'
        });
        let last = run_back(text, end, 2, |byte| matches!(byte, b'.' | b':'));
        let last = if part(text, last, end) == b"::" {
            end
        } else {
            last
        };
        let Some(word) = text
            .get(first..last)
            .and_then(|word| std::str::from_utf8(word).ok())
        else {
            continue;
        };
        let is_v = before(text, first) == b'-' && at(text, end) == b'-';
        // With its port.
        let (host, _) = word
            .split_once(':')
            .filter(|(host, _)| host.contains('.'))
            .unwrap_or((word, ""));
        let is_address = host.len() <= 45
            && match host.parse() {
                Ok(std::net::IpAddr::V4(ip)) => {
                    !ip.is_loopback() && !ip.is_unspecified() && !ip.is_broadcast()
                }
                Ok(std::net::IpAddr::V6(ip)) => {
                    !ip.is_loopback()
                        && !ip.is_unspecified()
                        && host.bytes().any(|byte| byte.is_ascii_digit())
                }
                Err(_) => false,
            };
        if is_address && !is_v {
            found(first, first + host.len());
        }
    }
}
