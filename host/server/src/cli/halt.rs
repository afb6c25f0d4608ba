//! `mandate halt`, `mandate resume`: the kill switch of a running host.

use super::client::Connection;
use mandate_types::{Halt, HaltScope, PluginName, TenantId};
use reqwest::Method;
use serde_json::json;

/// What is meant: everything, unless one of these is named.
#[derive(clap::Args)]
#[group(multiple = false)]
struct Scope {
    /// Only this plugin, and the executions in which it takes part
    #[arg(long)]
    plugin: Option<PluginName>,
    /// Only what is done for this tenant
    #[arg(long)]
    tenant: Option<TenantId>,
}

impl From<Scope> for HaltScope {
    fn from(scope: Scope) -> Self {
        match (scope.plugin, scope.tenant) {
            (Some(plugin), _) => Self::Plugin(plugin),
            (None, Some(tenant)) => Self::Tenant(tenant),
            (None, None) => Self::Host,
        }
    }
}

/// `mandate halt`
#[derive(clap::Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub struct Args {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    scope: Scope,
    /// Why, for those who find their work halted
    #[arg(long, required = true)]
    reason: Option<String>,
    #[command(flatten)]
    host: Connection,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Say what is halted
    List {
        #[command(flatten)]
        host: Connection,
    },
}

/// `mandate resume`
#[derive(clap::Args)]
pub struct Resume {
    #[command(flatten)]
    scope: Scope,
    #[command(flatten)]
    host: Connection,
}

/// Halts, or lists what is halted.
///
/// # Errors
/// When the host does not answer, or refuses.
pub async fn run(args: Args) -> anyhow::Result<()> {
    if let Some(Command::List { host }) = args.command {
        return list(&host).await;
    }
    let scope = HaltScope::from(args.scope);
    let body = json!({"scope": scope, "reason": args.reason.unwrap_or_default()});
    let request = args.host.request(Method::POST, "/halt")?.json(&body);
    let halt: Halt = serde_json::from_value(args.host.send(request).await?)?;
    println!("{halt}");
    Ok(())
}

async fn list(host: &Connection) -> anyhow::Result<()> {
    let answer = host.send(host.request(Method::GET, "/halts")?).await?;
    let items = answer.get("items").cloned().unwrap_or_default();
    let halts: Vec<Halt> = serde_json::from_value(items)?;
    if halts.is_empty() {
        println!("nothing is halted");
    }
    for halt in halts {
        println!("{halt}");
    }
    Ok(())
}

/// Ends a halt.
///
/// # Errors
/// When the host does not answer, or there is no such halt.
pub async fn resume(args: Resume) -> anyhow::Result<()> {
    let scope = HaltScope::from(args.scope);
    let body = json!({"scope": scope});
    let request = args.host.request(Method::POST, "/resume")?.json(&body);
    args.host.send(request).await?;
    println!("`{scope}` goes on");
    Ok(())
}
