//! `mandate plugin run`: one task or one tool call in a host of its own that is gone afterwards.

use crate::config::Config;
use crate::host::Host;
use crate::task::{NewTask, Origin};
use anyhow::{Context, bail};
use mandate_kernel::InstallRequest;
use mandate_types::{PrincipalName, TaskStatus, TenantId};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::time::Duration;

/// `mandate plugin run`
#[derive(clap::Args)]
pub struct Args {
    /// The plugin's file
    file: PathBuf,
    /// The tool to call, if the plugin has several
    #[arg(long)]
    tool: Option<String>,
    /// Input of the task or arguments of the tool, as JSON; `-` reads standard input
    #[arg(long, default_value = "{}")]
    input: String,
    /// Plugins that it calls
    #[arg(long = "with", value_name = "FILE")]
    with: Vec<PathBuf>,
    /// What the operator would fill in, as JSON
    #[arg(long, default_value = "{}")]
    settings: String,
}

/// Runs it and prints what it answered; every plugin gets all that it asks for.
///
/// # Errors
/// When it fails, with its own reason.
pub async fn run(args: Args) -> anyhow::Result<()> {
    let input = match args.input.as_str() {
        "-" => std::io::read_to_string(std::io::stdin())?,
        text => text.to_owned(),
    };
    let input: Value = serde_json::from_str(&input).context("--input is not JSON")?;
    let settings: Value = serde_json::from_str(&args.settings).context("--settings is not JSON")?;
    let dir = tempfile::tempdir()?;
    let config = Config::default();
    let host = Host::open(dir.path(), &config, Vec::new()).await?;
    let by = PrincipalName::parse("author")?;
    for file in &args.with {
        install(&host, file, json!({}), &by).await?;
    }
    let active = install(&host, &args.file, settings, &by).await?;
    host.start(&config).await?;
    let tenant = TenantId::default_tenant();
    if active.loaded.agent.is_none() {
        let tools: Vec<&String> = active.loaded.tools.keys().collect();
        let tool = match (&args.tool, tools.as_slice()) {
            (Some(tool), _) => tool,
            (None, [one]) => *one,
            (None, several) => {
                let names: Vec<&str> = several.iter().map(|s| s.as_str()).collect();
                bail!(
                    "the plugin has several tools; pass --tool with one of {}",
                    names.join(", ")
                )
            }
        };
        let name = format!("{}.{tool}", active.name());
        let answer = host
            .tasks
            .call_tool(&name, input, tenant, by)
            .await
            .map_err(explain)?;
        println!("{}", serde_json::to_string_pretty(&answer.result)?);
        return Ok(());
    }
    let kinds = active
        .loaded
        .manifest
        .agent
        .as_ref()
        .map(|agent| agent.kinds.clone());
    let kind = kinds
        .unwrap_or_default()
        .into_iter()
        .next()
        .unwrap_or_default();
    let new = NewTask {
        kind,
        input,
        ..NewTask::default()
    };
    let submitted = host
        .tasks
        .submit(new, tenant, by, Origin::Client(None))
        .await
        .map_err(explain)?;
    let limit = Duration::from_millis(active.grant().limits.time_ms) + Duration::from_secs(5);
    host.tasks.ended(&submitted.task.id, limit).await;
    let task = host.tasks.get(&submitted.task.id).await.map_err(explain)?;
    match (task.status, task.error) {
        (TaskStatus::Succeeded, _) => {
            println!("{}", serde_json::to_string_pretty(&task.result)?);
            Ok(())
        }
        (_, Some(error)) => bail!("{}: {}", error.kind, error.message),
        (status, None) => bail!("the task is {status} after {limit:?}"),
    }
}

fn explain(problem: mandate_types::Problem) -> anyhow::Error {
    let fields: String = problem
        .fields
        .iter()
        .map(|f| format!("\n  {}: expected {}", f.field, f.expected))
        .collect();
    anyhow::anyhow!("{}{fields}", problem.detail)
}

async fn install(
    host: &Host,
    file: &PathBuf,
    settings: Value,
    by: &PrincipalName,
) -> anyhow::Result<std::sync::Arc<mandate_kernel::Active>> {
    let bytes =
        std::fs::read(file).with_context(|| format!("{} cannot be read", file.display()))?;
    let staged = host
        .kernel
        .stage(bytes)
        .await
        .with_context(|| format!("{} cannot be run", file.display()))?;
    let request = InstallRequest {
        name: None,
        grant: None,
        accept: true,
        settings: Some(settings),
        by: by.clone(),
    };
    Ok(host.kernel.activate(staged, request).await?)
}
