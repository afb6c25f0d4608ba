//! What a host lists, a line each or as JSON, and one of it in full.

use super::client::Connection;
use reqwest::Method;
use serde_json::Value;

/// `mandate … list`
#[derive(clap::Args)]
pub struct ListArgs {
    #[command(flatten)]
    host: Connection,
    /// Also those that are answered
    #[arg(long)]
    all: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl ListArgs {
    /// Prints what is at `path`, only that of this `status` unless all is asked for: as JSON, or
    /// what `line` makes of each item, and `none` if there is no item.
    ///
    /// # Errors
    /// When the host does not answer.
    pub async fn print(
        &self,
        path: &str,
        status: &str,
        none: &str,
        line: impl Fn(&Value) -> String,
    ) -> anyhow::Result<()> {
        let path = if self.all {
            format!("{path}?limit=1000")
        } else {
            format!("{path}?status={status}&limit=1000")
        };
        print(&self.host, &path, self.json, none, line).await
    }
}

/// `mandate … show`
#[derive(clap::Args)]
pub struct ShowArgs {
    /// Its id
    id: String,
    #[command(flatten)]
    host: Connection,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl ShowArgs {
    /// Prints the one below `path`: as JSON, or as it is `told`.
    ///
    /// # Errors
    /// When the host does not answer, or does not know it.
    pub async fn print(&self, path: &str, told: fn(&Value) -> String) -> anyhow::Result<()> {
        let found = get(&self.host, path, &self.id).await?;
        if self.json {
            return print_json(&found);
        }
        print!("{}", told(&found));
        Ok(())
    }
}

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
        return print_json(&answer);
    }
    let items = all(&answer, "items");
    if items.is_empty() {
        println!("{none}");
    }
    for item in items {
        println!("{}", line(item));
    }
    Ok(())
}

/// The one below `path` that has this id.
///
/// # Errors
/// When the host does not answer, or does not know it.
pub async fn get(host: &Connection, path: &str, id: &str) -> anyhow::Result<Value> {
    let request = host.request(Method::GET, &format!("{path}/{id}"))?;
    host.send(request).await
}

/// Prints an answer as it is.
///
/// # Errors
/// None that a value of JSON can have.
pub fn print_json(answer: &Value) -> anyhow::Result<()> {
    println!("{}", serde_json::to_string_pretty(answer)?);
    Ok(())
}

/// The items of a member that is a list; none when there is no list.
pub fn all<'v>(value: &'v Value, name: &str) -> &'v [Value] {
    let items = value.get(name).and_then(Value::as_array);
    items.map(Vec::as_slice).unwrap_or_default()
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
