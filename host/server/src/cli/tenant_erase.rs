//! `mandate tenant erase`: destroys the key of a tenant's journals on a running host.

use super::client::Connection;
use anyhow::bail;
use mandate_types::TenantId;
use reqwest::Method;
use std::io::{BufRead as _, IsTerminal as _, Write as _};

/// `mandate tenant erase`
#[derive(clap::Args)]
pub struct Args {
    /// Whose journals
    tenant: TenantId,
    /// Do not ask
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    host: Connection,
}

/// Erases them.
///
/// # Errors
/// When nobody agrees to it, the host does not answer or does not know the tenant.
pub async fn run(args: Args) -> anyhow::Result<()> {
    let tenant = &args.tenant;
    if !args.yes && !agreed(tenant)? {
        bail!("nothing was erased");
    }
    let path = format!("/tenants/{tenant}/journals");
    let request = args.host.request(Method::DELETE, &path)?;
    let answer = args.host.send(request).await?;
    let failed = answer
        .get("failed_tasks")
        .and_then(serde_json::Value::as_u64);
    println!(
        "erased the journals of {tenant}; {} unfinished tasks failed",
        failed.unwrap_or_default()
    );
    Ok(())
}

fn agreed(tenant: &TenantId) -> anyhow::Result<bool> {
    if !std::io::stdin().is_terminal() {
        bail!("this cannot be undone: pass --yes if it is meant");
    }
    print!(
        "The journals of {tenant} will be unreadable for good, and its unfinished tasks fail. Go on? [y/N] "
    );
    std::io::stdout().flush()?;
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}
