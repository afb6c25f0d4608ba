//! Where a request goes: a URL that was read strictly, and means the same to everybody.

use super::pattern::HostPattern;
use url::{Host, Url};

/// The longest URL that is sent.
const MOST: usize = 8 << 10;

/// Why a URL is not sent anywhere.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs)] // the messages say what the variants mean
pub enum TargetError {
    #[error("url: has {0} bytes; at most {MOST} are sent")]
    Long(usize),
    #[error("url: expected `https://host[:port]/path?query`, with everything else percent-encoded")]
    Form,
    #[error("url: names a user or password; send an `authorization` header instead")]
    User,
    #[error("url: {0}")]
    Other(String),
}

/// A URL whose host is in lower case and ASCII, whose address (if it is one) is in its usual
/// form, and whose path has no dot segments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    url: Url,
    host: Host,
    port: u16,
}

impl Target {
    /// Reads a URL.
    ///
    /// # Errors
    /// [`TargetError`] for whatever two readers could take for two things.
    pub fn parse(text: &str) -> Result<Self, TargetError> {
        if text.len() > MOST {
            return Err(TargetError::Long(text.len()));
        }
        let lower = text.get(..8).unwrap_or(text).to_ascii_lowercase();
        let start = ["https://", "http://"]
            .iter()
            .find(|scheme| lower.starts_with(**scheme))
            .map(|scheme| scheme.len())
            .ok_or(TargetError::Form)?;
        // What the standard's parser would silently drop, or read as something else.
        let odd = |c: char| c.is_control() || c.is_whitespace() || c == '\\';
        if text.chars().any(odd) {
            return Err(TargetError::Form);
        }
        let rest = text.get(start..).unwrap_or_default();
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        if authority.contains('@') {
            return Err(TargetError::User);
        }
        if authority.is_empty() {
            return Err(TargetError::Form);
        }
        let mut url = Url::parse(text).map_err(|e| TargetError::Other(e.to_string()))?;
        url.set_fragment(None);
        // `example.com.` is the same host; others would compare it as another.
        if let Some(name) = url.host_str().and_then(|host| host.strip_suffix('.')) {
            let name = name.to_owned();
            url.set_host(Some(&name)).map_err(|_| TargetError::Form)?;
        }
        let host = match url.host() {
            Some(Host::Domain(name)) if is_name(name) => Host::Domain(name.to_owned()),
            Some(Host::Ipv4(address)) => Host::Ipv4(address),
            Some(Host::Ipv6(address)) => Host::Ipv6(address),
            _ => return Err(TargetError::Other("the host is no name".to_owned())),
        };
        match url.port_or_known_default() {
            Some(port) if port > 0 => Ok(Self { url, host, port }),
            _ => Err(TargetError::Other("the port is 0".to_owned())),
        }
    }

    /// Whether it goes over TLS.
    pub fn is_https(&self) -> bool {
        self.url.scheme() == "https"
    }

    /// A name or an address.
    pub fn host(&self) -> &Host {
        &self.host
    }

    /// The port that is said, or the scheme's own.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The path, percent-encoded, without dot segments.
    pub fn path(&self) -> &str {
        self.url.path()
    }

    /// Path and query, as they stand in a request.
    pub fn path_and_query(&self) -> String {
        match self.url.query() {
            Some(query) => format!("{}?{query}", self.url.path()),
            None => self.url.path().to_owned(),
        }
    }

    /// `https://host[:port]`, for people.
    pub fn origin(&self) -> String {
        format!("{}://{}", self.url.scheme(), self.authority())
    }

    /// `host[:port]`, the port only where it is not the scheme's own.
    pub fn authority(&self) -> String {
        match self.url.port() {
            Some(port) => format!("{}:{port}", self.host),
            None => self.host.to_string(),
        }
    }

    /// Whether one of `patterns` means it. A pattern that is none matches nothing.
    pub fn is_any_of(&self, patterns: &[String]) -> bool {
        patterns
            .iter()
            .filter_map(|pattern| HostPattern::parse(pattern).ok())
            .any(|pattern| pattern.matches(self))
    }

    /// The same host over TLS, at TLS's own port unless one is said.
    pub(crate) fn as_https(&self) -> Self {
        let mut other = self.clone();
        // From http to https, both special: always possible.
        let _ = other.url.set_scheme("https");
        other.port = other.url.port_or_known_default().unwrap_or(self.port);
        other
    }
}

/// Letters, digits, hyphens, underscores and single dots between them.
pub(super) fn is_name(name: &str) -> bool {
    name.len() <= 253
        && name.split('.').all(|label| {
            (1..=63).contains(&label.len())
                && label
                    .bytes()
                    .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-_".contains(&b))
        })
}
