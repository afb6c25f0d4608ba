//! `mandate token`: tokens made on the host's own machine, while the host does not run. On a
//! running host, `POST /api/v1/tokens` does the same.

use crate::acts;
use crate::host::new_token;
use anyhow::{Context, bail};
use mandate_kernel::audit::Audit;
use mandate_store::{Principal, SharedStore, Write};
use mandate_types::{Actor, Digest, PrincipalName, Role, TenantId, Timestamp};
use std::path::{Path, PathBuf};

/// `mandate token …`
#[derive(clap::Subcommand)]
pub enum Command {
    /// Make a token and print it, once
    Create {
        /// Whose
        name: PrincipalName,
        /// viewer, client, approver, operator or admin
        #[arg(long)]
        role: Role,
        /// For which tenants; operators and admins without one have all
        #[arg(long = "tenant")]
        tenants: Vec<TenantId>,
        /// The host's data directory
        #[arg(long, env = "MANDATE_DATA_DIR", default_value = ".mandate")]
        data_dir: PathBuf,
    },
    /// List whose tokens there are
    List {
        /// The host's data directory
        #[arg(long, env = "MANDATE_DATA_DIR", default_value = ".mandate")]
        data_dir: PathBuf,
    },
}

/// Makes or lists tokens.
///
/// # Errors
/// When the data directory is in use by a running host, or a name is taken.
pub async fn run(command: Command) -> anyhow::Result<()> {
    match command {
        Command::Create {
            name,
            role,
            tenants,
            data_dir,
        } => {
            if tenants.is_empty() && role < Role::Operator {
                bail!("a {role} is bound to tenants: pass --tenant, for example --tenant default");
            }
            let store = open(&data_dir).await?;
            if store.principals().await?.iter().any(|p| p.name == name) {
                bail!("there is a token of `{name}` already");
            }
            if name == PrincipalName::host() {
                bail!("`{name}` is the host itself: take another name");
            }
            let token = new_token()?;
            let principal = Principal {
                name,
                role,
                tenants,
                token: Digest::of(token.as_bytes()),
                created_at: Timestamp::now(),
                expires_at: None,
            };
            // Whoever has the machine needs no name.
            let act = acts::token_created(&Actor::host(), &principal);
            store
                .commit(None, vec![Write::PutPrincipal(Box::new(principal)), act])
                .await?;
            Audit::open(store, &data_dir).await?;
            println!("{token}");
        }
        Command::List { data_dir } => {
            let store = open(&data_dir).await?;
            for principal in store.principals().await? {
                let tenants: Vec<&str> = principal.tenants.iter().map(|t| t.as_str()).collect();
                let tenants = if tenants.is_empty() {
                    "all tenants".to_owned()
                } else {
                    tenants.join(", ")
                };
                println!(
                    "{:<24} {:<9} {tenants}",
                    principal.name.as_str(),
                    principal.role
                );
            }
        }
    }
    Ok(())
}

/// The database of a host that is not running; a folder without one is a mistake.
async fn open(dir: &Path) -> anyhow::Result<SharedStore> {
    if !dir.join("mandate.db").exists() {
        bail!(
            "{} is not a host's data directory: `mandate serve` makes it, --data-dir names it",
            dir.display()
        );
    }
    mandate_store::open_embedded(dir).await.context(
        "tokens of a running host are made with POST /api/v1/tokens; this works while it does not run",
    )
}
