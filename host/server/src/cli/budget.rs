//! `mandate budget`: how much of the policy's budgets is spent.

use super::client::Connection;
use super::decision::text;
use mandate_types::{MicroUsd, PluginName, TenantId};
use reqwest::Method;
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
    let mut request = host.request(Method::GET, "/budgets?limit=1000")?;
    if let Some(tenant) = tenant {
        request = request.query(&[("tenant", tenant.as_str())]);
    }
    if let Some(plugin) = plugin {
        request = request.query(&[("plugin", plugin.as_str())]);
    }
    let answer = host.send(request).await?;
    if json {
        println!("{}", serde_json::to_string_pretty(&answer)?);
        return Ok(());
    }
    let items = answer.get("items").and_then(Value::as_array);
    let items = items.map(Vec::as_slice).unwrap_or_default();
    if items.is_empty() {
        println!("nothing is spent of any budget");
    }
    for item in items {
        let number = |name: &str| item.get(name).and_then(Value::as_i64).unwrap_or_default();
        let money = |name: &str| MicroUsd(number(name)).to_string();
        let resets = match text(item, "resets_at") {
            at if at.is_empty() => String::new(),
            at => format!(", begins anew at {at}"),
        };
        println!(
            "{:>4} %  {} over {}: {} spent and {} reserved of {} by {}{resets}",
            number("percent"),
            text(item, "budget"),
            text(item, "scope"),
            money("spent"),
            money("reserved"),
            money("limit"),
            text(item, "window"),
        );
    }
    Ok(())
}
