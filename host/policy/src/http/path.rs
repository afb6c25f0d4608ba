//! Paths, compared in every way in which a server could read them.

/// A server may decode a path more than once; what still changes after so many rounds is an attack.
const ROUNDS: usize = 4;

/// Why `pattern` cannot be a path of a grant; `None` when it can.
pub fn check_path_pattern(pattern: &str) -> Option<String> {
    let start = pattern.strip_suffix('*').unwrap_or(pattern);
    let plain = start.starts_with('/')
        && start.len() <= 1024
        && !start.contains(['*', '%', '?', '#', '\\'])
        && start.chars().all(|c| c.is_ascii_graphic())
        && start == resolved(start);
    (!plain).then(|| {
        format!(
            "`{pattern}` is no path; expected one such as `/v1/status`, or its beginning and `*`: `/v1/*`"
        )
    })
}

/// Whether `path` is within `patterns`, however a server reads it.
pub fn within(path: &str, patterns: &[String]) -> bool {
    if patterns.iter().any(|pattern| pattern == "/*") {
        return true;
    }
    let matched = |path: &str| patterns.iter().any(|pattern| covers(pattern, path));
    let mut form = path.to_owned();
    if !matched(&form) {
        return false;
    }
    for _ in 0..ROUNDS {
        let next = resolved(&decoded(&form));
        if next == form {
            return true;
        }
        if !matched(&next) {
            return false;
        }
        form = next;
    }
    false
}

/// Whether everything that `narrow` (a path, or its beginning and `*`) means is meant by `wide`.
pub fn covers(wide: &str, narrow: &str) -> bool {
    match wide.strip_suffix('*') {
        Some(start) => narrow
            .strip_suffix('*')
            .unwrap_or(narrow)
            .starts_with(start),
        None => wide == narrow,
    }
}

/// Percent-decoded once; what is not UTF-8 then is replaced, so that it matches no plain text.
fn decoded(path: &str) -> String {
    let mut bytes = Vec::with_capacity(path.len());
    let mut rest = path.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let digits = after.get(..2).filter(|_| *first == b'%');
        let byte = digits.and_then(|digits| {
            let text = std::str::from_utf8(digits).ok()?;
            digits
                .iter()
                .all(u8::is_ascii_hexdigit)
                .then(|| u8::from_str_radix(text, 16).ok())?
        });
        match byte {
            Some(byte) => {
                bytes.push(byte);
                rest = after.get(2..).unwrap_or_default();
            }
            None => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Without dot segments and empty ones, with slashes for backslashes. Some servers cut a segment
/// at `;` before they look whether it is `..`.
fn resolved(path: &str) -> String {
    let mut segments: Vec<&str> = Vec::new();
    let mut open = false;
    for segment in path.split(['/', '\\']) {
        open = true;
        match segment.split(';').next().unwrap_or_default() {
            "" if segment.is_empty() => {}
            "." => {}
            ".." => {
                segments.pop();
            }
            _ => {
                segments.push(segment);
                open = false;
            }
        }
    }
    let mut resolved = String::with_capacity(path.len());
    for segment in &segments {
        resolved.push('/');
        resolved.push_str(segment);
    }
    if open || segments.is_empty() {
        resolved.push('/');
    }
    resolved
}
