//! The hosts that a grant names, or that a secret may go to.

use super::target::{Target, is_name};
use std::fmt;
use url::Host;

/// Why a text names no host.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` names no host; expected one such as `api.example.com`, `*.example.com:8443` or `http://10.0.0.7:9090`"
)]
pub struct PatternError(String);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scheme {
    /// Not said: TLS, or a loopback address, from which nobody else can listen.
    Safe,
    Https,
    Http,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Port {
    /// Not said: the scheme's own.
    Own,
    Any,
    One(u16),
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Hosts {
    Any,
    /// Every name below this one.
    Below(String),
    One(Host),
}

/// `[http://|https://](*|*.name|name|address)[:port|:*]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostPattern {
    scheme: Scheme,
    hosts: Hosts,
    port: Port,
}

impl HostPattern {
    /// Reads a pattern.
    ///
    /// # Errors
    /// [`PatternError`] when it is none; such a pattern never matches.
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        Self::read(text).ok_or_else(|| PatternError(text.to_owned()))
    }

    fn read(text: &str) -> Option<Self> {
        let (scheme, rest) = match text.split_once("://") {
            Some(("http", rest)) => (Scheme::Http, rest),
            Some(("https", rest)) => (Scheme::Https, rest),
            Some(_) => return None,
            None => (Scheme::Safe, text),
        };
        // The last colon that is not within an IPv6 address.
        let (host, port) = match rest.rsplit_once(':') {
            Some((host, "*")) => (host, Port::Any),
            Some((host, port)) if !port.contains(']') => (host, Port::One(number(port)?)),
            _ => (rest, Port::Own),
        };
        let hosts = if host == "*" {
            Hosts::Any
        } else if let Some(name) = host.strip_prefix("*.") {
            match one(name)? {
                Host::Domain(name) => Hosts::Below(name),
                _ => return None,
            }
        } else {
            Hosts::One(one(host)?)
        };
        Some(Self {
            scheme,
            hosts,
            port,
        })
    }

    /// Whether `target` is one of these hosts, over an allowed scheme and port.
    pub fn matches(&self, target: &Target) -> bool {
        let scheme = match self.scheme {
            Scheme::Https => target.is_https(),
            Scheme::Http => !target.is_https(),
            Scheme::Safe => target.is_https() || is_loopback(target.host()),
        };
        let port = match self.port {
            Port::Own => target.port() == if target.is_https() { 443 } else { 80 },
            Port::Any => true,
            Port::One(port) => target.port() == port,
        };
        scheme && port && self.has(target.host())
    }

    fn has(&self, host: &Host) -> bool {
        match (&self.hosts, host) {
            (Hosts::Any, _) => true,
            (Hosts::Below(name), Host::Domain(host)) => host
                .strip_suffix(name.as_str())
                .is_some_and(|before| before.len() > 1 && before.ends_with('.')),
            (Hosts::Below(_), _) => false,
            (Hosts::One(one), host) => one == host,
        }
    }

    /// Whether everything that `other` matches is matched by this too.
    pub fn covers(&self, other: &Self) -> bool {
        let scheme = self.scheme == other.scheme
            || (self.scheme == Scheme::Safe && other.scheme == Scheme::Https);
        let hosts = match (&self.hosts, &other.hosts) {
            (Hosts::Any, _) => true,
            (Hosts::Below(wide), Hosts::Below(narrow)) => {
                wide == narrow || self.has(&Host::Domain(narrow.clone()))
            }
            (_, Hosts::One(host)) => self.has(host),
            _ => false,
        };
        scheme && hosts && (self.port == Port::Any || self.one_port() == other.one_port())
    }

    /// The one port that it is about; none for any.
    fn one_port(&self) -> Option<u16> {
        match (self.port, self.scheme) {
            (Port::Any, _) => None,
            (Port::One(port), _) => Some(port),
            (Port::Own, Scheme::Http) => Some(80),
            (Port::Own, Scheme::Https | Scheme::Safe) => Some(443),
        }
    }
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.scheme {
            Scheme::Safe => {}
            Scheme::Https => f.write_str("https://")?,
            Scheme::Http => f.write_str("http://")?,
        }
        match &self.hosts {
            Hosts::Any => f.write_str("*")?,
            Hosts::Below(name) => write!(f, "*.{name}")?,
            Hosts::One(host) => write!(f, "{host}")?,
        }
        match self.port {
            Port::Own => Ok(()),
            Port::Any => f.write_str(":*"),
            Port::One(port) => write!(f, ":{port}"),
        }
    }
}

/// A port that can be connected to, in digits alone.
fn number(text: &str) -> Option<u16> {
    let digits = text.bytes().all(|b| b.is_ascii_digit());
    let port = if digits { text.parse().ok()? } else { 0 };
    (port > 0).then_some(port)
}

/// A name or an address in their usual forms.
fn one(text: &str) -> Option<Host> {
    let host = Host::parse(text.strip_suffix('.').unwrap_or(text)).ok()?;
    match &host {
        Host::Domain(name) => is_name(name).then_some(host),
        _ => Some(host),
    }
}

fn is_loopback(host: &Host) -> bool {
    match host {
        Host::Domain(name) => name == "localhost",
        Host::Ipv4(address) => address.is_loopback(),
        Host::Ipv6(address) => address.is_loopback(),
    }
}
