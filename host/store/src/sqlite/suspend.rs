//! A tool that cost more than it said is taken out of its plugin's grant, in the transaction that
//! books what it cost: no crash comes between.

use super::sql::{self, Arg, Columns};
use crate::audit::NewAct;
use crate::event::NewEvent;
use mandate_policy::Grant;
use mandate_types::{
    Act, Actor, DecisionId, EventKind, PluginName, PrincipalName, TenantId, Timestamp,
};
use serde_json::json;
use sqlx::sqlite::SqliteConnection;

/// What is to be suspended.
pub(super) struct Suspension {
    pub(super) plugin: PluginName,
    pub(super) tool: String,
    pub(super) decision: DecisionId,
    pub(super) at: Timestamp,
}

/// What is told of it.
pub(super) struct Suspended {
    pub(super) act: NewAct,
    pub(super) event: NewEvent,
}

impl Suspension {
    /// Changes the grant; nothing if the tool is not in it, or the plugin is gone.
    pub(super) async fn write(
        &self,
        conn: &mut SqliteConnection,
    ) -> Result<Option<Suspended>, super::apply::Refused> {
        const GRANT: &str = "SELECT granted, digest FROM installations WHERE name = ?";
        const PUT: &str = "UPDATE installations SET granted = ?2, grant_generation = ?3, updated_at = ?4, \
            updated_by = ?5 WHERE name = ?1";
        let name = Arg::text(&self.plugin);
        let Some(row) = sql::first(conn, GRANT, std::slice::from_ref(&name)).await? else {
            return Ok(None);
        };
        let mut grant: Grant = row.get_json("granted")?;
        if grant.tools.remove(&self.tool).is_none() {
            return Ok(None);
        }
        grant.generation = grant.generation.saturating_add(1);
        let host = PrincipalName::host();
        let args = [
            name,
            Arg::json(&grant),
            Arg::count(grant.generation),
            self.at.into(),
            Arg::text(&host),
        ];
        sql::run(conn, PUT, &args).await?;
        let digest = row.get_text("digest")?;
        Ok(Some(Suspended {
            act: NewAct {
                at: self.at,
                actor: Actor::host(),
                act: Act::TOOL_SUSPENDED,
                subject: format!("plugin/{}", self.plugin),
                tenant: None,
                data: json!({
                    "tool": self.tool,
                    "decision": self.decision,
                    "generation": grant.generation,
                }),
            },
            event: NewEvent {
                time: self.at,
                kind: EventKind::PLUGIN_CHANGED.to_owned(),
                subject: None,
                task: None,
                tenant: TenantId::default_tenant(),
                data: json!({
                    "plugin": self.plugin,
                    "digest": digest,
                    "action": "suspended",
                    "tool": self.tool,
                    "by": host,
                }),
            },
        }))
    }
}
