//! What a manifest asks to send, and with which secrets.

use super::check::{ManifestProblem, at};
use mandate_policy::{Capabilities, http};

/// Everything that is wrong with `[capabilities.http]` and `secrets`.
pub(super) fn check(capabilities: &Capabilities, found: &mut Vec<ManifestProblem>) {
    if let Some(asked) = &capabilities.http {
        for (key, list, example) in [
            ("hosts", &asked.hosts, "api.example.com"),
            ("methods", &asked.methods, "GET"),
            ("paths", &asked.paths, "/*"),
        ] {
            if list.is_empty() {
                at![found, "capabilities", "http", key; "is empty; expected some, such as \"{example}\""];
            }
        }
        for (index, host) in asked.hosts.iter().enumerate() {
            if let Err(error) = http::HostPattern::parse(host) {
                at![found, "capabilities", "http", "hosts", index; "{error}"];
            }
        }
        for (index, method) in asked.methods.iter().enumerate() {
            if !http::is_method(method) {
                at![found, "capabilities", "http", "methods", index; "`{method}` cannot be sent; expected a method in capitals, such as `GET` or `POST`"];
            }
        }
        for (index, path) in asked.paths.iter().enumerate() {
            if let Some(problem) = http::check_path_pattern(path) {
                at![found, "capabilities", "http", "paths", index; "{problem}"];
            }
        }
    }
    for (index, name) in capabilities.secrets.iter().enumerate() {
        if !http::is_secret_name(name) {
            at![found, "capabilities", "secrets", index; "`{name}` is no name; expected letters, digits, `_` and `-`, such as `PAGER_TOKEN`"];
        }
    }
    if capabilities.http.is_none() && !capabilities.secrets.is_empty() {
        at![found, "capabilities", "secrets"; "secrets are put into requests; ask for [capabilities.http] too"];
    }
}
