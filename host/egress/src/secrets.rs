//! What the operator keeps for plugins that must not see it: where each secret is, and to which
//! hosts it may go.

use mandate_policy::http::{HostPattern, Target, is_secret_name};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// A shorter one would be found, and masked, in every other answer.
const LEAST: usize = 8;
const MOST: usize = 8 << 10;

/// One secret, as the operator sets it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SecretSettings {
    /// The environment variable of the host that holds it; or `file`.
    pub env: Option<String>,
    /// The file that holds it, read at each use, so that it can be replaced; or `env`.
    pub file: Option<PathBuf>,
    /// The hosts that it may be sent to, written as in a grant.
    pub hosts: Vec<String>,
}

/// Why the settings of a secret are wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("[secrets.{name}] {problem}")]
pub struct SecretError {
    name: String,
    problem: String,
}

/// All secrets of a host.
#[derive(Clone, Debug, Default)]
pub struct Secrets(BTreeMap<String, SecretSettings>);

impl Secrets {
    /// Checks the settings; the values are read when they are used.
    ///
    /// # Errors
    /// [`SecretError`] for the first that cannot be used.
    pub fn new(settings: BTreeMap<String, SecretSettings>) -> Result<Self, SecretError> {
        for (name, secret) in &settings {
            if let Some(problem) = problem(name, secret) {
                return Err(SecretError {
                    name: name.clone(),
                    problem,
                });
            }
        }
        Ok(Self(settings))
    }

    /// Whether `name` may be sent to `target`.
    ///
    /// # Errors
    /// Why not.
    pub fn admit(&self, name: &str, target: &Target) -> Result<(), String> {
        let Some(secret) = self.0.get(name) else {
            return Err(format!("this host has no secret `{name}`"));
        };
        if target.is_any_of(&secret.hosts) {
            return Ok(());
        }
        Err(format!(
            "the secret `{name}` may not be sent to `{}`, only to {}",
            target.origin(),
            secret.hosts.join(", ")
        ))
    }

    /// The value of `name`.
    ///
    /// # Errors
    /// Why it cannot be had, without a word of it.
    pub(crate) async fn value(&self, name: &str) -> Result<String, String> {
        let secret = self.0.get(name).cloned().unwrap_or_default();
        let value = match (&secret.env, &secret.file) {
            (Some(variable), _) => std::env::var(variable)
                .map_err(|_| format!("the secret `{name}` is not in the host's environment"))?,
            (None, Some(file)) => tokio::fs::read_to_string(file)
                .await
                .map_err(|error| format!("the file of the secret `{name}`: {error}"))?,
            (None, None) => return Err(format!("this host has no secret `{name}`")),
        };
        let value = value.trim_matches(['\r', '\n']).to_owned();
        if !(LEAST..=MOST).contains(&value.len()) {
            return Err(format!(
                "the secret `{name}` has not {LEAST}–{MOST} bytes, and is not used"
            ));
        }
        if !value.bytes().all(|b| b == b' ' || b.is_ascii_graphic()) {
            return Err(format!(
                "the secret `{name}` has characters that cannot be in a header"
            ));
        }
        Ok(value)
    }
}

fn problem(name: &str, secret: &SecretSettings) -> Option<String> {
    if !is_secret_name(name) {
        return Some("the name has other characters than letters, digits, `_` and `-`".to_owned());
    }
    if secret.env.is_some() == secret.file.is_some() {
        return Some("expected either `env`, a variable, or `file`, a path".to_owned());
    }
    if secret.hosts.is_empty() {
        return Some("`hosts` is empty: it could be sent nowhere".to_owned());
    }
    secret
        .hosts
        .iter()
        .find_map(|host| HostPattern::parse(host).err())
        .map(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn secret(file: &std::path::Path) -> SecretSettings {
        SecretSettings {
            env: None,
            file: Some(file.to_owned()),
            hosts: vec!["api.example.com".to_owned()],
        }
    }

    fn one(secret: SecretSettings) -> Result<Secrets, SecretError> {
        Secrets::new(BTreeMap::from([("KEY".to_owned(), secret)]))
    }

    #[test]
    fn a_secret_goes_to_its_hosts_only() {
        let secrets = one(secret("/x".as_ref())).unwrap();
        let to = |url| Target::parse(url).unwrap();
        assert!(
            secrets
                .admit("KEY", &to("https://api.example.com/a"))
                .is_ok()
        );
        for other in [
            "https://example.com/",
            "http://api.example.com/",
            "https://api.example.com:8443/",
        ] {
            let told = secrets.admit("KEY", &to(other)).unwrap_err();
            assert!(told.contains("only to api.example.com"), "{told}");
        }
        assert!(
            secrets
                .admit("OTHER", &to("https://api.example.com/"))
                .is_err()
        );
    }

    #[test]
    fn settings_that_cannot_work_are_told() {
        let path = std::path::Path::new("/x");
        let no_source = SecretSettings {
            file: None,
            ..secret(path)
        };
        let two = SecretSettings {
            env: Some("X".into()),
            ..secret(path)
        };
        let nowhere = SecretSettings {
            hosts: Vec::new(),
            ..secret(path)
        };
        let odd = SecretSettings {
            hosts: vec!["a b".into()],
            ..secret(path)
        };
        for wrong in [no_source, two, nowhere, odd] {
            let error = one(wrong).unwrap_err().to_string();
            assert!(error.starts_with("[secrets.KEY] "), "{error}");
        }
    }

    #[tokio::test]
    async fn a_file_is_read_at_each_use() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        let secrets = one(secret(file.path())).unwrap();
        assert!(secrets.value("KEY").await.is_err(), "empty");
        writeln!(file, "first-value").unwrap();
        assert_eq!(secrets.value("KEY").await.unwrap(), "first-value");
        std::fs::write(file.path(), "second-value").unwrap();
        assert_eq!(secrets.value("KEY").await.unwrap(), "second-value");
        std::fs::write(file.path(), "two\nlines of it").unwrap();
        let told = secrets.value("KEY").await.unwrap_err();
        assert!(told.contains("header") && !told.contains("lines"), "{told}");
    }
}
