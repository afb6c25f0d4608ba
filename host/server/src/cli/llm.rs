//! `mandate llm`: who answers model calls, what they say, and what it cost.

use super::client::Connection;
use super::listing::{self, text};
use mandate_types::MicroUsd;
use reqwest::Method;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// `mandate llm …`
#[derive(clap::Subcommand)]
pub enum Command {
    /// List the providers in the order in which they are asked, and how each does
    Providers {
        #[command(flatten)]
        host: Connection,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Ask one provider for a word: whether its key, its model and its price are right
    Test {
        /// Its name
        id: String,
        /// fast or smart; the first that it has when absent
        #[arg(long)]
        class: Option<String>,
        #[command(flatten)]
        host: Connection,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Ask a model
    Ask(Ask),
    /// List what attempts at models cost, and the sums by provider
    Bill(Bill),
}

/// Does it.
///
/// # Errors
/// When the host does not answer, or refuses.
pub async fn run(command: Command) -> anyhow::Result<()> {
    match command {
        Command::Providers { host, json } => {
            let none = "no provider is configured: nobody answers model calls";
            listing::print(&host, "/llm/providers", json, none, line).await
        }
        Command::Test {
            id,
            class,
            host,
            json,
        } => {
            let path = format!("/llm/providers/{id}/test");
            let class = class.map(|class| ("class", class));
            let request = host.request(Method::POST, &path)?.query(&class.as_slice());
            let answer = host.send(request).await?;
            told(&answer, json)
        }
        Command::Ask(ask) => ask.run().await,
        Command::Bill(bill) => bill.run().await,
    }
}

/// `mandate llm ask`
#[derive(clap::Args)]
pub struct Ask {
    /// What is asked
    prompt: String,
    /// fast or smart
    #[arg(long, default_value = "fast")]
    class: String,
    /// Only this provider
    #[arg(long)]
    provider: Option<String>,
    /// The most tokens of the answer
    #[arg(long, default_value_t = 1024)]
    max_output_tokens: u32,
    /// Whose budgets count
    #[arg(long)]
    tenant: Option<String>,
    #[command(flatten)]
    host: Connection,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Ask {
    async fn run(self) -> anyhow::Result<()> {
        let asked = json!({
            "prompt": self.prompt,
            "class": self.class,
            "provider": self.provider,
            "max_output_tokens": self.max_output_tokens,
            "tenant": self.tenant,
        });
        let request = self.host.request(Method::POST, "/llm/ask")?.json(&asked);
        told(&self.host.send(request).await?, self.json)
    }
}

/// `mandate llm bill`
#[derive(clap::Args)]
pub struct Bill {
    /// Only of this task
    #[arg(long)]
    task: Option<String>,
    /// Only of this execution
    #[arg(long)]
    execution: Option<String>,
    /// Only of this tenant
    #[arg(long)]
    tenant: Option<String>,
    #[command(flatten)]
    host: Connection,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// What a provider's model cost so far.
#[derive(Default)]
struct Sum {
    attempts: u64,
    settled: i64,
    uncertain: i64,
    reserved: i64,
}

impl Bill {
    /// Prints the attempts at models, the newest first, and what each provider's model cost.
    async fn run(self) -> anyhow::Result<()> {
        let mut entries = Vec::new();
        let mut cursor: Option<String> = None;
        loop {
            let mut query = vec![("kind", "model".to_owned()), ("limit", "1000".to_owned())];
            let named = [
                ("task", &self.task),
                ("execution", &self.execution),
                ("tenant", &self.tenant),
                ("cursor", &cursor),
            ];
            let given = named.into_iter();
            query.extend(given.filter_map(|(name, value)| Some((name, value.clone()?))));
            let request = self.host.request(Method::GET, "/ledger")?.query(&query);
            let page = self.host.send(request).await?;
            entries.extend(listing::all(&page, "items").iter().cloned());
            cursor = page
                .get("cursor")
                .and_then(Value::as_str)
                .map(str::to_owned);
            if cursor.is_none() {
                break;
            }
        }
        if self.json {
            return listing::print_json(&Value::Array(entries));
        }
        if entries.is_empty() {
            println!("no model was asked");
        }
        let mut sums = BTreeMap::<String, Sum>::new();
        for entry in &entries {
            println!("{}", attempt(entry));
            let [provider, model] = ["provider", "model"].map(|name| text(entry, name));
            let sum = sums.entry(format!("{provider}  {model}")).or_default();
            let of = |name: &str| entry.get(name).and_then(Value::as_i64);
            sum.attempts += 1;
            match of("settled") {
                Some(cost) if entry.get("uncertain") == Some(&Value::Bool(true)) => {
                    sum.uncertain += cost;
                }
                Some(cost) => sum.settled += cost,
                None => sum.reserved += of("reserved").unwrap_or(0),
            }
        }
        for (model, sum) in sums {
            let money = [sum.settled, sum.uncertain, sum.reserved].map(MicroUsd);
            let [settled, uncertain, reserved] = money;
            println!(
                "{model}: {} attempts, {settled}; uncertain {uncertain}; under way {reserved}",
                sum.attempts
            );
        }
        Ok(())
    }
}

/// One attempt on the bill.
fn attempt(entry: &Value) -> String {
    let [at, provider, model, id] = ["at", "provider", "model", "id"].map(|name| text(entry, name));
    let of = |name: &str| entry.get(name).and_then(Value::as_i64).map(MicroUsd);
    let cost = match of("settled") {
        Some(cost) if entry.get("uncertain") == Some(&Value::Bool(true)) => {
            format!("{cost} at most")
        }
        Some(cost) => cost.to_string(),
        None => format!("up to {}", of("reserved").unwrap_or_default()),
    };
    format!("{at}  {cost:>14}  {provider}  {model}  {id}")
}

/// An answer, and below it who gave it.
fn told(answer: &Value, json: bool) -> anyhow::Result<()> {
    if json {
        return listing::print_json(answer);
    }
    let [said, provider, model, took] =
        ["text", "provider", "model", "took_ms"].map(|name| text(answer, name));
    let cost = answer.get("cost_micro_usd").and_then(Value::as_i64);
    let cost = MicroUsd(cost.unwrap_or(0));
    println!("{said}");
    eprintln!("{provider}, {model}: {took} ms, {cost}");
    if answer.get("simulated") == Some(&Value::Bool(true)) {
        eprintln!("simulated: no model was asked");
    }
    for attempt in listing::all(answer, "attempts") {
        let [provider, outcome, reason] =
            ["provider", "outcome", "reason"].map(|name| text(attempt, name));
        eprintln!("  {provider}: {outcome} {reason}");
    }
    Ok(())
}

/// A provider, and its models below it.
fn line(provider: &Value) -> String {
    let [id, answered, failed] = ["id", "answered", "failed"].map(|name| text(provider, name));
    let mut line = format!("{id:<12} {answered} answered, {failed} failed");
    let error = text(provider, "last_error");
    if !error.is_empty() {
        line.push_str(&format!("; at last: {error}"));
    }
    let models = provider.get("models").and_then(Value::as_array);
    for model in models.into_iter().flatten() {
        let [class, name, state] = ["class", "model", "state"].map(|name| text(model, name));
        let why = text(model, "why");
        let priced = model.get("priced") == Some(&Value::Bool(true));
        let unpriced = if priced {
            ""
        } else {
            " (nobody knows its price: not asked)"
        };
        line.push_str(format!("\n    {class:<6} {name}  {state}{unpriced} {why}").trim_end());
    }
    line
}
