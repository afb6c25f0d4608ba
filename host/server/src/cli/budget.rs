//! `mandate budget`: how much of the policy's budgets is spent.

use super::client::Connection;
use super::listing::{self, text};
use mandate_types::{MicroUsd, PluginName, TenantId};
use serde_json::Value;

/// `mandate budget …`
#[derive(clap::Subcommand)]
pub enum Command {
    /// List the budgets over everything for which something was spent, the most used first
    List {
        #[command(flatten)]
        host: Connection,
        /// Only what is spent for this tenant
        #[arg(long)]
        tenant: Option<TenantId>,
        /// Only what is counted for this plugin
        #[arg(long)]
        plugin: Option<PluginName>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

/// Lists budgets.
///
/// # Errors
/// When the host does not answer.
pub async fn run(command: Command) -> anyhow::Result<()> {
    let Command::List {
        host,
        tenant,
        plugin,
        json,
    } = command;
    let mut path = "/budgets?limit=1000".to_owned();
    // Neither has a character that a URL would have to hide.
    if let Some(tenant) = tenant {
        path.push_str(&format!("&tenant={tenant}"));
    }
    if let Some(plugin) = plugin {
        path.push_str(&format!("&plugin={plugin}"));
    }
    listing::print(&host, &path, json, "nothing is spent of any budget", line).await
}

fn line(item: &Value) -> String {
    let number = |name: &str| item.get(name).and_then(Value::as_i64).unwrap_or_default();
    let [spent, reserved, limit] =
        ["spent", "reserved", "limit"].map(|name| MicroUsd(number(name)));
    let [budget, scope, window] = ["budget", "scope", "window"].map(|name| text(item, name));
    let resets = match text(item, "resets_at") {
        at if at.is_empty() => String::new(),
        at => format!(", begins anew at {at}"),
    };
    format!(
        "{:>4} %  {budget} over {scope}: {spent} spent and {reserved} reserved of {limit} by {window}{resets}",
        number("percent")
    )
}
