//! Which requests the fake host lets through. It reads URLs simply: what is granted here and is an attack, a real
//! host refuses.

use super::grants::matches;
use crate::error::Error;
use crate::http::Request;
use serde::Deserialize;

/// `[capabilities.http]`
#[derive(Clone, Debug, Deserialize)]
pub struct Requests {
    hosts: Vec<String>,
    #[serde(default = "reads")]
    methods: Vec<String>,
    #[serde(default = "everywhere")]
    paths: Vec<String>,
}

fn reads() -> Vec<String> {
    vec!["GET".to_owned(), "HEAD".to_owned()]
}

fn everywhere() -> Vec<String> {
    vec!["/*".to_owned()]
}

impl Requests {
    /// Whether host, method and path of a request are all among these.
    pub fn allow(&self, request: &Request) -> bool {
        let Some((scheme, rest)) = request.url.split_once("://") else {
            return false;
        };
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, rest) = rest.split_at(end);
        let path = rest.split('?').next().filter(|path| !path.is_empty());
        self.hosts.iter().any(|host| is(host, scheme, authority))
            && self.methods.contains(&request.method)
            && matches(&self.paths, path.unwrap_or("/"))
    }
}

/// Without a scheme a pattern means https, and http to this machine; without a port the scheme's own, with `:*` any.
fn is(pattern: &str, scheme: &str, authority: &str) -> bool {
    let authority = authority.to_ascii_lowercase();
    let local = authority.starts_with("127.") || authority.starts_with("localhost");
    let pattern = match pattern.split_once("://") {
        Some((said, pattern)) if said == scheme => pattern,
        None if scheme == "https" || local => pattern,
        _ => return false,
    };
    let own = if scheme == "https" { ":443" } else { ":80" };
    let host = authority.strip_suffix(own).unwrap_or(&authority);
    let pattern = pattern.to_ascii_lowercase();
    let (pattern, host) = match pattern.strip_suffix(":*") {
        Some(pattern) => (
            pattern,
            host.rsplit_once(':').map_or(host, |(host, _)| host),
        ),
        None => (pattern.strip_suffix(own).unwrap_or(&pattern), host),
    };
    match pattern.strip_prefix('*') {
        Some("") => !host.contains(':'),
        Some(end) => host.len() > end.len() && host.ends_with(end),
        None => host == pattern,
    }
}

/// The names of the secrets that a request has places for.
///
/// # Errors
/// [`Error::Invalid`] for a place without its end.
pub fn secrets(request: &Request) -> Result<Vec<&str>, Error> {
    let mut names = Vec::new();
    for header in &request.headers {
        for open in ["{{secret:", "{{hmac-sha256:"] {
            for place in header.value.split(open).skip(1) {
                let name = place.split_once("}}").map(|(name, _)| name);
                let broken =
                    || Error::invalid(format!("`{open}` is not followed by a name and `}}}}`"));
                names.push(name.filter(|name| !name.is_empty()).ok_or_else(broken)?);
            }
        }
    }
    Ok(names)
}
