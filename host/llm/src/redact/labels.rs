//! What a name before it makes a secret: `password=…`, `"token": "…"`, `Authorization: …`.

use super::bytes::{at, before, is_name, part, run, run_back};
use super::value::{is_likely_secret, is_password, is_token};

/// Longest name.
const NAME: usize = 48;
/// Longest value that is judged; one that is taken goes on to its end.
const JUDGED: usize = 256;
/// Longest value in quotes.
const QUOTED: usize = 2048;

/// How much a name says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Label {
    /// What follows is a password, whatever it looks like.
    Password,
    /// What follows is a secret if it looks a little like one.
    Secret,
    /// A scheme and a secret.
    Authorization,
    /// All of the line.
    Cookie,
}

/// Ends of names of which the value is a password; compared without case and `_`, `-`.
const PASSWORDS: [&str; 6] = [
    "password",
    "passwd",
    "passphrase",
    "passwort",
    "passcode",
    "pwd",
];
const SECRETS: [&str; 21] = [
    "token",
    "secret",
    "apikey",
    "accesskey",
    "secretkey",
    "accountkey",
    "privatekey",
    "signingkey",
    "encryptionkey",
    "authkey",
    "sharedkey",
    "masterkey",
    "sessionkey",
    "servicekey",
    "licensekey",
    "credential",
    "credentials",
    "signature",
    "sessionid",
    "clientkey",
    "appkey",
];
/// Ends of names of places in a list, which have the form of tokens.
const PLACES: [&str; 7] = [
    "pagetoken",
    "nexttoken",
    "continuetoken",
    "continuationtoken",
    "synctoken",
    "cursortoken",
    "paginationtoken",
];

/// What stands between name and value in prose.
const SAID: [&str; 3] = ["is ", "was ", "ist "];

/// What in a text begins a look at the name around it.
pub(super) const NEEDLES: [&str; 11] = [
    "pass",
    "pwd",
    "token",
    "secret",
    "key",
    "credential",
    "auth",
    "signature",
    "session",
    "cookie",
    "sig=",
];

/// What `name` says about its value.
pub(super) fn label(name: &[u8]) -> Option<Label> {
    let mut plain = [0u8; NAME];
    let mut length = 0;
    for byte in name.iter().filter(|byte| byte.is_ascii_alphanumeric()) {
        *plain.get_mut(length)? = byte.to_ascii_lowercase();
        length += 1;
    }
    let plain = part(&plain, 0, length);
    let ends = |list: &[&str]| list.iter().any(|end| plain.ends_with(end.as_bytes()));
    if ends(&PASSWORDS) {
        return Some(Label::Password);
    }
    if ends(&SECRETS) {
        return (!ends(&PLACES)).then_some(Label::Secret);
    }
    // Short ends count only as words of their own: `bypass` and `oauth` are others.
    let is_own = |word: &str| {
        let start = name.len().checked_sub(word.len());
        start.is_some_and(|start| {
            let written = part(name, start, name.len());
            written.eq_ignore_ascii_case(word.as_bytes())
                && (!before(name, start).is_ascii_alphanumeric()
                    || (before(name, start).is_ascii_lowercase()
                        && at(written, 0).is_ascii_uppercase()))
        })
    };
    match plain {
        b"cookie" | b"setcookie" => Some(Label::Cookie),
        // Of tests that pass, too.
        b"pass" | b"auth" | b"sig" => Some(Label::Secret),
        _ if plain.ends_with(b"authorization") => Some(Label::Authorization),
        _ if is_own("pass") => Some(Label::Password),
        _ if is_own("auth") || is_own("sig") => Some(Label::Secret),
        _ => None,
    }
}

/// The secret of the name around `hit`, and where the name ends.
pub(super) fn assigned(text: &[u8], hit: usize) -> (usize, Option<(usize, usize)>) {
    let end = run(text, hit, NAME, is_name);
    let next = at(text, end);
    // Most names have no value.
    if !matches!(
        next,
        b'"' | b'\'' | b'\\' | b'=' | b':' | b' ' | b'>' | b'`' | b']'
    ) {
        return (end, None);
    }
    let start = run_back(text, hit, NAME, is_name);
    let name = part(text, start, end);
    let found = label(name).and_then(|label| {
        let (value, is_said) = value_start(text, start, end)?;
        let (value, stop) = value_end(text, value, label)?;
        let written = part(text, value, stop);
        let is_secret = match label {
            Label::Password if is_said => is_password(name, written) && is_odd(written),
            Label::Password => is_password(name, written) && !is_call(text, stop),
            Label::Secret => is_likely_secret(written) && !is_call(text, stop),
            Label::Authorization => is_token(written),
            Label::Cookie => written.contains(&b'='),
        };
        is_secret.then_some((value, stop))
    });
    (end, found)
}

/// Whether a text that stands in JSON under `name` is a secret.
pub(super) fn is_secret_under(name: &[u8], text: &str) -> Option<(usize, usize)> {
    let written = text.as_bytes();
    let whole = Some((0, written.len()));
    match label(name)? {
        Label::Password => is_password(name, written).then_some(whole),
        Label::Secret => is_likely_secret(written).then_some(whole),
        Label::Cookie => written.contains(&b'=').then_some(whole),
        Label::Authorization => value_end(written, 0, Label::Authorization)
            .filter(|(start, end)| is_token(part(written, *start, *end)))
            .map(Some),
    }?
}

/// In «the password is wrong» it is not `wrong`.
fn is_odd(value: &[u8]) -> bool {
    value
        .iter()
        .any(|byte| !byte.is_ascii_alphabetic() && !matches!(byte, b'-' | b'.' | b'\''))
}

/// Code that gets the secret from somewhere.
fn is_call(text: &[u8], end: usize) -> bool {
    matches!(at(text, end), b'(' | b'[')
}

fn spaces(text: &[u8], start: usize) -> usize {
    run(text, start, 24, |byte| matches!(byte, b' ' | b'\t'))
}

/// Where the value of the name `start..end` begins, and whether it is only said in prose.
fn value_start(text: &[u8], start: usize, end: usize) -> Option<(usize, bool)> {
    let quote = run(text, end, 3, |byte| {
        matches!(byte, b'\\' | b'"' | b'\'' | b'`' | b']')
    });
    let sign = spaces(text, quote);
    let after = match part(text, sign, sign + 2) {
        b":=" | b"=>" | b"==" => sign + 2,
        [b'=' | b':', ..] => sign + 1,
        [b'>', ..] if before(text, start) == b'<' => sign + 1,
        _ if quote == end && sign == end + 1 => {
            let options = part(text, start, start + 2) == b"--";
            let said = SAID
                .iter()
                .find(|word| part(text, sign, sign + word.len()) == word.as_bytes());
            return match said {
                Some(word) => Some((sign + word.len(), true)),
                None => options.then_some((sign, false)),
            };
        }
        _ => return None,
    };
    Some((spaces(text, after), false))
}

/// The value that begins at `start`, without quotes, scheme and what follows it.
fn value_end(text: &[u8], start: usize, label: Label) -> Option<(usize, usize)> {
    let is_escaped = at(text, start) == b'\\';
    let quote = at(text, start + usize::from(is_escaped));
    if matches!(quote, b'"' | b'\'' | b'`') {
        let inside = start + 1 + usize::from(is_escaped);
        if let Some(end) = closing(text, inside, quote, is_escaped) {
            let (start, _) = without_scheme(text, inside, end, label);
            return Some((start, end));
        }
    }
    let start = run(text, start, 2, |byte| {
        matches!(byte, b'\\' | b'"' | b'\'' | b'`')
    });
    if label == Label::Cookie || label == Label::Authorization {
        let line = run(text, start, QUOTED, |byte| {
            !matches!(byte, b'\n' | b'\r' | b'"' | b'\'' | b'\\')
        });
        let (start, had) = without_scheme(text, start, line, label);
        if had || label == Label::Cookie {
            let end = if had {
                run(text, start, QUOTED, is_value)
            } else {
                line
            };
            return Some((start, end));
        }
    }
    // A word that is no secret is not read to its end, or many names in one word took their square.
    let judged = run(text, start, JUDGED, is_value);
    let end = if judged - start < JUDGED {
        judged
    } else {
        run(text, judged, QUOTED, is_value)
    };
    // The end of a sentence is none of the value.
    let end = run_back(text, end, 2, |byte| {
        matches!(byte, b'.' | b':' | b'!' | b'?')
    })
    .max(start);
    let end = if end == judged || is_closed(text, judged) {
        end
    } else {
        judged
    };
    Some((start, end))
}

/// Whether a word ends here, also in prose.
fn is_closed(text: &[u8], end: usize) -> bool {
    matches!(at(text, end), 0 | b' ' | b'\n' | b'\r' | b'\t')
}

fn is_value(byte: u8) -> bool {
    !matches!(
        byte,
        b' ' | b'\t'
            | b'\n'
            | b'\r'
            | b'"'
            | b'\''
            | b'`'
            | b','
            | b';'
            | b'&'
            | b'<'
            | b'>'
            | b'('
            | b')'
            | b'\\'
            | b'}'
            | b']'
            | b'['
    )
}

/// Where the quoted text ends.
fn closing(text: &[u8], start: usize, quote: u8, is_escaped: bool) -> Option<usize> {
    let mut place = start;
    let most = text.len().min(start + QUOTED);
    while place < most {
        match at(text, place) {
            b'\n' => return None,
            b'\\' if is_escaped && at(text, place + 1) == quote => return Some(place),
            b'\\' => place += 1,
            byte if byte == quote => return Some(place),
            _ => {}
        }
        place += 1;
    }
    None
}

/// Where the secret begins after `Bearer ` and the like.
fn without_scheme(text: &[u8], start: usize, end: usize, label: Label) -> (usize, bool) {
    let scheme = run(text, start, 24, |byte| {
        byte.is_ascii_alphanumeric() || byte == b'-'
    });
    let has = label == Label::Authorization
        && scheme > start
        && scheme + 1 < end
        && at(text, scheme) == b' ';
    if has {
        (spaces(text, scheme), true)
    } else {
        (start, false)
    }
}
