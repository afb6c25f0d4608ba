//! `mandate audit`: whether the audit is what it was, a checkpoint of it to be kept elsewhere,
//! and all of it for others to read. Below a data directory, with or without a host over it, or
//! asked of a host.

use super::client::Connection;
use anyhow::{Context, bail};
use mandate_kernel::audit::{Mark, Verified, Verifier, head_of, verify_directory};
use mandate_store::{ActQuery, AuditedAct, SharedAudit};
use mandate_types::{Checkpoint, Timestamp};
use reqwest::Method;
use serde::Deserialize;
use std::io::Write as _;
use std::path::{Path, PathBuf};

/// `mandate audit …`
#[derive(clap::Subcommand)]
pub enum Command {
    /// Say whether anything was changed or removed, and what
    Verify {
        #[command(flatten)]
        place: Place,
        /// A checkpoint that was kept elsewhere, or an export that ends in one; may be repeated
        #[arg(long, value_name = "CHECKPOINT")]
        against: Vec<PathBuf>,
        /// The host's public key as it was noted elsewhere: all must be signed with it
        #[arg(long)]
        key: Option<String>,
    },
    /// Print every act as a line of JSON, the oldest first, and a checkpoint as the last line
    Export {
        #[command(flatten)]
        place: Place,
        /// Only from this time on, for example 2026-01-31T12:00:00Z
        #[arg(long, value_parser = time)]
        since: Option<Timestamp>,
        /// Only before this time
        #[arg(long, value_parser = time)]
        until: Option<Timestamp>,
    },
    /// Print where the audit is, signed; to be kept where this machine cannot change it
    Checkpoint {
        #[command(flatten)]
        place: Place,
    },
}

/// Where the audit is.
#[derive(clap::Args)]
pub struct Place {
    /// The host's data directory
    #[arg(long, env = "MANDATE_DATA_DIR", default_value = ".mandate")]
    data_dir: PathBuf,
    /// Ask a running host instead
    #[arg(long, env = "MANDATE_URL")]
    url: Option<String>,
    /// A token of an operator of that host; without one, the administrator's in the data directory
    #[arg(long, env = "MANDATE_TOKEN", hide_env_values = true)]
    token: Option<String>,
}

fn time(text: &str) -> Result<Timestamp, String> {
    Timestamp::parse(text).ok_or_else(|| "expected a time such as 2026-01-31T12:00:00Z".to_owned())
}

/// Verifies, exports or marks.
///
/// # Errors
/// What is wrong with the audit, or why it cannot be read.
pub async fn run(command: Command) -> anyhow::Result<()> {
    match command {
        Command::Verify {
            place,
            against,
            key,
        } => {
            let against = against.iter().map(|file| kept(file));
            let against = against.collect::<anyhow::Result<Vec<_>>>()?;
            verify(place.audit()?, against, key).await
        }
        Command::Export {
            place,
            since,
            until,
        } => {
            let query = ActQuery {
                since,
                until,
                ..whole()
            };
            export(place.audit()?, query).await
        }
        Command::Checkpoint { place } => {
            let head = place.audit()?.head().await?;
            let head = head.context("nothing was sealed yet: start the host once")?;
            println!("{}", serde_json::to_string(&head)?);
            Ok(())
        }
    }
}

/// Everything, as it happened.
fn whole() -> ActQuery {
    ActQuery {
        oldest_first: true,
        limit: 1_000,
        ..ActQuery::default()
    }
}

/// A checkpoint that an operator kept, and how it is called.
fn kept(file: &Path) -> anyhow::Result<(String, Checkpoint)> {
    #[derive(Deserialize)]
    struct LastLine {
        checkpoint: Checkpoint,
    }
    let name = file.display();
    let text = std::fs::read_to_string(file).with_context(|| format!("{name} cannot be read"))?;
    let last = text.trim_end().lines().next_back().unwrap_or_default();
    let checkpoint = serde_json::from_str::<Checkpoint>(text.trim())
        .or_else(|_| serde_json::from_str::<LastLine>(last).map(|line| line.checkpoint))
        .with_context(|| {
            format!("{name} is neither a checkpoint nor an export that ends in one: `mandate audit checkpoint` makes one")
        })?;
    Ok((format!("the checkpoint {name}"), checkpoint))
}

/// Where the audit is read.
enum Audit {
    Directory(PathBuf, SharedAudit),
    Host(Connection),
}

#[derive(Deserialize)]
struct Page {
    items: Vec<AuditedAct>,
    cursor: Option<String>,
}

impl Place {
    fn audit(self) -> anyhow::Result<Audit> {
        if let Some(url) = self.url {
            return Ok(Audit::Host(Connection::new(url, self.token, self.data_dir)));
        }
        if !self.data_dir.join("mandate.db").exists() {
            bail!(
                "{} is not a host's data directory: --data-dir names it, --url asks a running host",
                self.data_dir.display()
            );
        }
        let audit = mandate_store::read_audit(&self.data_dir);
        Ok(Audit::Directory(self.data_dir, audit))
    }
}

impl Audit {
    async fn head(&self) -> anyhow::Result<Option<Checkpoint>> {
        match self {
            Self::Directory(dir, _) => Ok(head_of(dir)?),
            Self::Host(host) => {
                let request = host.request(Method::GET, "/audit/checkpoint")?;
                Ok(Some(serde_json::from_slice(&host.bytes(request).await?)?))
            }
        }
    }

    async fn page(&self, query: &ActQuery) -> anyhow::Result<Page> {
        match self {
            Self::Directory(_, audit) => {
                let page = audit.acts(query).await?;
                Ok(Page {
                    items: page.items,
                    cursor: page.cursor,
                })
            }
            Self::Host(host) => {
                let times = [("since", query.since), ("until", query.until)];
                let mut parameters: Vec<(&str, String)> = times
                    .into_iter()
                    .filter_map(|(name, time)| Some((name, time?.to_string())))
                    .collect();
                parameters.push(("order", "oldest".to_owned()));
                parameters.push(("limit", query.limit.to_string()));
                parameters.extend(query.cursor.clone().map(|cursor| ("cursor", cursor)));
                let request = host.request(Method::GET, "/audit")?.query(&parameters);
                // Not by way of a value: the hashes are over the texts as they are.
                Ok(serde_json::from_slice(&host.bytes(request).await?)?)
            }
        }
    }
}

async fn verify(
    audit: Audit,
    against: Vec<(String, Checkpoint)>,
    key: Option<String>,
) -> anyhow::Result<()> {
    let kept = against.len();
    let (verified, head) = match &audit {
        Audit::Directory(dir, _) => {
            let found = verify_directory(dir, against, key).await?;
            (found.verified, found.head)
        }
        Audit::Host(host) => {
            let (verified, head) = ask(&audit, host, against, key).await?;
            (verified, Some(head))
        }
    };
    println!("the audit is whole: {} acts", verified.acts);
    if let Some(head) = head {
        println!("signed up to act {} at {}", head.seq, head.at);
        println!("with the key {}", head.key);
    }
    if kept > 0 {
        println!("{kept} checkpoints that were kept elsewhere agree");
    }
    if verified.unsigned > 0 {
        println!(
            "note: {} acts are not signed yet; a host that runs does so within a second, and one that starts puts on record that it did",
            verified.unsigned
        );
    }
    for seq in verified.mismatches {
        println!("note: act {seq} says that at a start the audit was not what had been signed");
    }
    Ok(())
}

/// Verifies what a host shows.
async fn ask(
    audit: &Audit,
    host: &Connection,
    against: Vec<(String, Checkpoint)>,
    key: Option<String>,
) -> anyhow::Result<(Verified, Checkpoint)> {
    let who = host.send(host.request(Method::GET, "/whoami")?).await?;
    if who.get("all_tenants") != Some(&true.into()) {
        bail!("a token that is bound to tenants does not see every act: use one that is not");
    }
    let head = audit
        .head()
        .await?
        .context("the host shows no checkpoint")?;
    let key = key.unwrap_or_else(|| head.key.clone());
    let of_host = ("the host's checkpoint".to_owned(), head.clone());
    let marks = std::iter::once(of_host).chain(against);
    let mut verifier = Verifier::new(
        marks
            .map(|(name, checkpoint)| Mark {
                name,
                checkpoint,
                key: Some(key.clone()),
            })
            .collect(),
    )?;
    let mut query = whole();
    loop {
        let page = audit.page(&query).await?;
        for act in page.items {
            verifier.next(Ok(act))?;
        }
        query.cursor = page.cursor;
        if query.cursor.is_none() {
            return Ok((verifier.end()?, head));
        }
    }
}

/// Prints the acts up to a checkpoint, and that.
async fn export(audit: Audit, mut query: ActQuery) -> anyhow::Result<()> {
    let head = audit.head().await?;
    let last = head.as_ref().map_or(0, |head| head.seq);
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    loop {
        let page = audit.page(&query).await?;
        for act in page.items.iter().filter(|act| act.seq <= last) {
            writeln!(out, "{}", serde_json::to_string(act)?)?;
        }
        query.cursor = page.cursor;
        if query.cursor.is_none() {
            break;
        }
    }
    if let Some(head) = head {
        writeln!(out, "{}", serde_json::json!({"checkpoint": head}))?;
    }
    out.flush()?;
    Ok(())
}
