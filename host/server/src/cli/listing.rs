//! What a host lists, a line each or as JSON.

use super::client::Connection;
use reqwest::Method;
use serde_json::Value;

/// Prints what is at `path`: as `json`, or what `line` makes of each item, and `none` if there
/// is no item.
///
/// # Errors
/// When the host does not answer.
pub async fn print(
    host: &Connection,
    path: &str,
    json: bool,
    none: &str,
    line: impl Fn(&Value) -> String,
) -> anyhow::Result<()> {
    let answer = host.send(host.request(Method::GET, path)?).await?;
    if json {
        println!("{}", serde_json::to_string_pretty(&answer)?);
        return Ok(());
    }
    let items = answer.get("items").and_then(Value::as_array);
    let items = items.map(Vec::as_slice).unwrap_or_default();
    if items.is_empty() {
        println!("{none}");
    }
    for item in items {
        println!("{}", line(item));
    }
    Ok(())
}

/// A member as people read it; empty when there is none. What a guest said must not steer the
/// terminal.
pub fn text(item: &Value, name: &str) -> String {
    let text = match item.get(name) {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    };
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}
