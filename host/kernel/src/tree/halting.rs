//! Who takes part in an execution, and the halt that stopped it.

use super::Tree;
use mandate_types::{Halt, PluginName};

impl Tree {
    /// Who takes part in it now.
    pub fn plugins(&self) -> Vec<PluginName> {
        self.locked_plugins().clone()
    }

    /// A plugin takes part from now on.
    pub fn enters(&self, plugin: &PluginName) {
        self.locked_plugins().push(plugin.clone());
    }

    /// An invocation of the plugin is over.
    pub fn leaves(&self, plugin: &PluginName) {
        let mut plugins = self.locked_plugins();
        if let Some(place) = plugins.iter().rposition(|known| known == plugin) {
            plugins.remove(place);
        }
    }

    fn locked_plugins(&self) -> std::sync::MutexGuard<'_, Vec<PluginName>> {
        self.plugins
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Stops every guest. An execution for a task stays unfinished; one for nobody's task is over,
    /// because nobody would go on with it.
    pub fn halt(&self, halt: &Halt) {
        // The first is the one that stopped it.
        let _ = self.halt.set(halt.clone());
        if self.task.is_some() {
            self.stop.suspend(halt.to_string());
        } else {
            self.stop.stop(halt.to_string());
        }
    }

    /// The halt that stopped it, if one did.
    pub fn halted_by(&self) -> Option<Halt> {
        self.halt.get().cloned()
    }

    /// The halt that stopped it and left it unfinished.
    pub fn suspended_by(&self) -> Option<Halt> {
        self.halt.get().filter(|_| self.stop.suspends()).cloned()
    }
}
