//! A tool that cost more than it said is not called again before an operator accepts it anew: the
//! writer took it out of the grant when it booked the cost, and what is active follows.

use crate::catalogue::{Active, Catalogue};
use crate::kernel::{Kernel, PluginLoadError};
use mandate_store::Write;
use mandate_types::PluginName;
use std::sync::Arc;

/// The plugins of which `writes` suspend a tool.
pub(crate) fn suspended(writes: &[Write]) -> Vec<PluginName> {
    let of = |write: &Write| match write {
        Write::SuspendTool { plugin, .. } => Some(plugin.clone()),
        _ => None,
    };
    writes.iter().filter_map(of).collect()
}

impl Kernel {
    /// Follows what the writer suspended.
    pub(crate) async fn follow_suspensions(self: &Arc<Self>, plugins: Vec<PluginName>) {
        for plugin in plugins {
            tracing::error!(%plugin, "a tool cost more than was reserved: it is suspended until its terms are accepted again");
            let kernel = self.clone();
            // Also when whoever called it is gone meanwhile.
            let followed = self
                .host()
                .spawn(async move { kernel.follow(&plugin).await });
            if let Err(lost) = followed.await {
                tracing::error!(%lost, "what is active follows a suspension at the next call");
            }
        }
    }

    /// Makes active what is installed under this name: the writer may have changed its grant by
    /// itself. Until that is done it refuses effects that were judged by the grant before.
    pub(super) async fn follow(&self, plugin: &PluginName) {
        if let Err(error) = self.reload(plugin).await {
            tracing::error!(%plugin, %error, "the grant that counts cannot be read: nothing has effects by its tools");
        }
    }

    async fn reload(&self, plugin: &PluginName) -> Result<(), PluginLoadError> {
        let _changing = self.changing.lock().await;
        let all = self.store().installations().await?;
        let Some(installation) = all.into_iter().find(|known| known.name == *plugin) else {
            return Ok(());
        };
        let is_known =
            |active: &Arc<Active>| active.grant().generation == installation.grant.generation;
        if self.catalogue().installed(plugin).is_some_and(is_known) {
            return Ok(());
        }
        let loaded = self.load(&installation.digest).await?;
        let active = Arc::new(Active {
            installation,
            loaded,
        });
        let mut plugins = self.catalogue().plugin_map();
        plugins.insert(plugin.clone(), active);
        let collections = self.store().collections().await?;
        self.replace(Catalogue::new(plugins, collections));
        Ok(())
    }
}
