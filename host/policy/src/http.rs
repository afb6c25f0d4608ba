//! Which requests to other hosts a grant allows: by host, method and path, compared the way the
//! strictest reader of a URL would.

mod path;
mod pattern;
mod target;

pub use path::check_path_pattern;
pub use pattern::{HostPattern, PatternError};
pub use target::{Target, TargetError};

use crate::grant::{Capabilities, Refusal};
use serde::{Deserialize, Serialize};

/// Capability `http`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct HttpCapability {
    /// `api.example.com`, `*.example.com:8443`, `http://prometheus:9090`, or `*` for every public
    /// host. Without a scheme it is `https` (and `http` to a loopback address), without a port
    /// the scheme's own.
    pub hosts: Vec<String>,
    /// Methods in capitals; `GET` and `HEAD` when absent.
    #[serde(default = "reads")]
    pub methods: Vec<String>,
    /// Paths, of which each may end in `*`; all when absent.
    #[serde(default = "everywhere")]
    pub paths: Vec<String>,
}

fn reads() -> Vec<String> {
    vec!["GET".to_owned(), "HEAD".to_owned()]
}

fn everywhere() -> Vec<String> {
    vec!["/*".to_owned()]
}

/// The methods that only read, by what HTTP says of them.
pub fn is_read(method: &str) -> bool {
    matches!(method, "GET" | "HEAD")
}

/// Whether `method` can be granted and sent: a word in capitals, and none that makes the
/// connection something else.
pub fn is_method(method: &str) -> bool {
    (1..=20).contains(&method.len())
        && method.bytes().all(|b| b.is_ascii_uppercase() || b == b'-')
        && !matches!(method, "CONNECT" | "TRACE")
}

/// Whether `name` can be the name of a secret.
pub fn is_secret_name(name: &str) -> bool {
    (1..=64).contains(&name.len())
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
}

fn refuse(capability: &str, reason: String) -> Refusal {
    Refusal {
        capability: capability.to_owned(),
        reason,
    }
}

impl Capabilities {
    /// May anything be sent at all?
    ///
    /// # Errors
    /// [`Refusal`] if not.
    pub fn http(&self) -> Result<&HttpCapability, Refusal> {
        self.http
            .as_ref()
            .ok_or_else(|| refuse("http", "sending requests is not granted".to_owned()))
    }

    /// May `method` be sent to `target`?
    ///
    /// # Errors
    /// [`Refusal`] if not; it says whether host, method or path is the reason.
    pub fn send(&self, method: &str, target: &Target) -> Result<(), Refusal> {
        let http = self.http()?;
        let to = target.origin();
        if !target.is_any_of(&http.hosts) {
            let mut reason = format!("sending requests to `{to}` is not granted");
            if !target.is_https() && target.as_https().is_any_of(&http.hosts) {
                reason.push_str("; its host is, but only over https");
            }
            return Err(refuse("http", reason));
        }
        if !http.methods.iter().any(|granted| granted == method) {
            let reason = format!("the method {method} to `{to}` is not granted");
            return Err(refuse("http", reason));
        }
        if !path::within(target.path(), &http.paths) {
            let reason = format!("the path `{}` at `{to}` is not granted", target.path());
            return Err(refuse("http", reason));
        }
        Ok(())
    }

    /// May the secret `name` be used?
    ///
    /// # Errors
    /// [`Refusal`] if not.
    pub fn secret(&self, name: &str) -> Result<(), Refusal> {
        if self.secrets.iter().any(|granted| granted == name) {
            Ok(())
        } else {
            let reason = format!("using the secret `{name}` is not granted");
            Err(refuse("secrets", reason))
        }
    }
}

impl HttpCapability {
    /// What of this goes beyond `asked`, a sentence each.
    pub(crate) fn beyond(&self, asked: &Self) -> Vec<String> {
        let covered = |host: &String| match HostPattern::parse(host) {
            Ok(granted) => asked
                .hosts
                .iter()
                .filter_map(|host| HostPattern::parse(host).ok())
                .any(|asked| asked.covers(&granted)),
            Err(_) => asked.hosts.contains(host),
        };
        let hosts = self.hosts.iter().filter(|host| !covered(host));
        let methods = self.methods.iter().filter(|m| !asked.methods.contains(m));
        let paths = self.paths.iter();
        let paths = paths.filter(|path| !asked.paths.iter().any(|a| path::covers(a, path)));
        let hosts = hosts.map(|host| format!("requests to `{host}`"));
        let methods = methods.map(|method| format!("requests with {method}"));
        let paths = paths.map(|path| format!("requests for `{path}`"));
        hosts.chain(methods).chain(paths).collect()
    }
}

#[cfg(test)]
mod tests;
