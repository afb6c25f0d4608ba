//! `mandate policy preview`: which decisions of the last days would have gone otherwise.

use super::client::Connection;
use super::policy_test::read_policy;
use anyhow::Context;
use mandate_policy::Facts;
use mandate_types::Timestamp;
use reqwest::Method;
use serde::Deserialize;
use serde_json::Value;
use std::path::PathBuf;
use std::time::Duration;

/// `mandate policy preview`
#[derive(clap::Args)]
pub struct Args {
    /// The policy, in TOML or JSON
    file: PathBuf,
    /// How many days back
    #[arg(long, default_value_t = 7, value_parser = clap::value_parser!(u64).range(1..=366))]
    days: u64,
    #[command(flatten)]
    host: Connection,
}

/// What is needed of a decision.
#[derive(Deserialize)]
struct Decided {
    id: String,
    tool: String,
    verdict: String,
    rule: String,
    facts: Value,
}

/// Judges every decision anew, here, on the facts that it was judged on.
///
/// # Errors
/// When the policy is broken, or the host does not answer.
pub async fn run(args: Args) -> anyhow::Result<()> {
    let (_, policy) = read_policy(&args.file)?;
    let after = Timestamp::now().minus(Duration::from_secs(args.days * 86_400));
    let mut cursor: Option<String> = None;
    let (mut seen, mut otherwise, mut unreadable) = (0_u64, 0_u64, 0_u64);
    let mut about_money = 0_u64;
    loop {
        let mut query = vec![
            ("requested_after", after.to_string()),
            ("limit", "100".to_owned()),
        ];
        query.extend(cursor.map(|cursor| ("cursor", cursor)));
        let request = args.host.request(Method::GET, "/decisions")?.query(&query);
        let mut page = args.host.send(request).await?;
        let items = page.get_mut("items").map(Value::take);
        for item in items
            .as_ref()
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
        {
            let decided = Decided::deserialize(item).context("a decision has another form")?;
            seen += 1;
            if decided.rule.starts_with("budget:") {
                // What was spent then decided it, and no policy alone.
                about_money += 1;
                continue;
            }
            let Ok(facts) = Facts::deserialize(&decided.facts) else {
                unreadable += 1;
                continue;
            };
            let verdict = policy.judge(&facts);
            if verdict.outcome.as_str() != decided.verdict {
                otherwise += 1;
                println!(
                    "{} {:<28} {} ({}) → {} ({}): {}",
                    decided.id,
                    decided.tool,
                    decided.verdict,
                    decided.rule,
                    verdict.outcome,
                    verdict.rule,
                    verdict.reason
                );
            }
        }
        cursor = page
            .get("cursor")
            .and_then(Value::as_str)
            .map(str::to_owned);
        if cursor.is_none() {
            break;
        }
    }
    println!(
        "{otherwise} of {seen} decisions of the last {} days would have gone otherwise",
        args.days
    );
    if about_money > 0 {
        println!(
            "{about_money} of them asked for more than a budget had, which is not judged anew"
        );
    }
    if unreadable > 0 {
        println!("{unreadable} of them were judged on facts that cannot be read any more");
    }
    Ok(())
}
