//! Which plugins are active now, and what they bring: kinds of tasks, collections, routes. A
//! catalogue is never changed, only replaced: whoever holds one sees one state.

use crate::loaded::Loaded;
use mandate_plugin::Validator;
use mandate_plugin::manifest::{RecordAction, Route};
use mandate_policy::{Grant, ToolTerms};
use mandate_store::{Collection, Installation, InstallationStatus};
use mandate_types::PluginName;
use std::collections::BTreeMap;
use std::sync::Arc;

/// An installed plugin that can be run.
pub struct Active {
    /// Name, grant, settings.
    pub installation: Installation,
    /// The component.
    pub loaded: Arc<Loaded>,
}

impl Active {
    /// Its name on this host.
    pub fn name(&self) -> &PluginName {
        &self.installation.name
    }

    /// What the operator allows it.
    pub fn grant(&self) -> &Grant {
        &self.installation.grant
    }

    /// Whether it takes new work.
    pub fn takes_work(&self) -> bool {
        self.installation.status == InstallationStatus::Active
    }

    /// The accepted terms of its tool `name`; none if the operator accepted none.
    pub fn terms(&self, name: &str) -> Option<&ToolTerms> {
        self.loaded
            .tools
            .get(name)
            .and_then(|_| self.grant().tools.get(name))
    }

    /// Whether `other` is this plugin too, in this or another version.
    pub fn is_same_plugin(&self, other: &Self) -> bool {
        let (own, other) = (&self.loaded.manifest.plugin, &other.loaded.manifest.plugin);
        own.id == other.id && own.publisher == other.publisher
    }

    /// Whether it is an agent that accepts tasks of `kind`.
    pub fn accepts(&self, kind: &str) -> bool {
        self.loaded
            .manifest
            .agent
            .as_ref()
            .is_some_and(|a| a.kinds.iter().any(|k| k == kind))
    }
}

/// A collection with its compiled schema.
pub struct CollectionEntry {
    /// As it was declared.
    pub declared: Collection,
    /// Of the bodies.
    pub validator: Validator,
    /// The tasks that can be given about one of its records.
    pub actions: Vec<RecordAction>,
}

/// What a route of a plugin's own leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RouteTarget {
    /// A collection.
    Collection(String),
    /// A tool, as `plugin.tool`.
    Tool(String),
}

/// Everything that is active.
#[derive(Default)]
pub struct Catalogue {
    plugins: BTreeMap<PluginName, Arc<Active>>,
    collections: BTreeMap<String, Arc<CollectionEntry>>,
    routes: BTreeMap<String, RouteTarget>,
}

impl Catalogue {
    /// The catalogue of these plugins and collections.
    pub fn new(
        plugins: BTreeMap<PluginName, Arc<Active>>,
        collections: impl IntoIterator<Item = Collection>,
    ) -> Self {
        let mut routes = BTreeMap::new();
        for active in plugins.values() {
            for (name, route) in &active.loaded.manifest.routes {
                let target = match route {
                    Route::Collection(collection) => RouteTarget::Collection(collection.clone()),
                    Route::Tool(tool) => RouteTarget::Tool(format!("{}.{tool}", active.name())),
                };
                routes.entry(name.clone()).or_insert(target);
            }
        }
        let collections = collections
            .into_iter()
            .filter(|collection| !collection.retired)
            .filter_map(|declared| {
                let validator = mandate_plugin::compile_schema(&declared.schema).ok()?;
                let actions = plugins
                    .get(&declared.owner)
                    .and_then(|owner| owner.loaded.manifest.records.get(&declared.name))
                    .map(|section| section.actions.clone())
                    .unwrap_or_default();
                let name = declared.name.clone();
                Some((
                    name,
                    Arc::new(CollectionEntry {
                        declared,
                        validator,
                        actions,
                    }),
                ))
            })
            .collect();
        Self {
            plugins,
            collections,
            routes,
        }
    }

    /// The plugins by name.
    pub fn plugins(&self) -> impl Iterator<Item = &Arc<Active>> {
        self.plugins.values()
    }

    /// The same plugins, to make the next catalogue of.
    pub fn plugin_map(&self) -> BTreeMap<PluginName, Arc<Active>> {
        self.plugins.clone()
    }

    /// What is installed as `name` now.
    pub fn installed(&self, name: &PluginName) -> Option<&Arc<Active>> {
        self.plugins.get(name)
    }

    /// The plugin installed as `name`.
    pub fn plugin(&self, name: &str) -> Option<&Arc<Active>> {
        PluginName::parse(name)
            .ok()
            .and_then(|name| self.plugins.get(&name))
    }

    /// The tool `plugin.tool`.
    pub fn tool<'a>(&self, name: &'a str) -> Option<(&Arc<Active>, &'a str)> {
        let (plugin, tool) = name.split_once('.')?;
        let active = self.plugin(plugin)?;
        active
            .loaded
            .tools
            .contains_key(tool)
            .then_some((active, tool))
    }

    /// The agents that accept tasks of `kind` and take work, by name.
    pub fn agents_for(&self, kind: &str) -> impl Iterator<Item = &Arc<Active>> {
        self.plugins
            .values()
            .filter(move |active| active.takes_work() && active.accepts(kind))
    }

    /// Every kind of task that somebody accepts.
    pub fn kinds(&self) -> Vec<String> {
        let mut kinds: Vec<String> = self
            .plugins
            .values()
            .filter_map(|active| active.loaded.manifest.agent.as_ref())
            .flat_map(|agent| agent.kinds.iter().cloned())
            .collect();
        kinds.sort();
        kinds.dedup();
        kinds
    }

    /// The collection `name`, unless it is retired.
    pub fn collection(&self, name: &str) -> Option<Arc<CollectionEntry>> {
        self.collections.get(name).cloned()
    }

    /// All collections that are not retired, by name.
    pub fn collections(&self) -> impl Iterator<Item = &Arc<CollectionEntry>> {
        self.collections.values()
    }

    /// What `/api/v1/<name>` leads to.
    pub fn route(&self, name: &str) -> Option<&RouteTarget> {
        self.routes.get(name)
    }

    /// All routes of plugins, by name.
    pub fn routes(&self) -> impl Iterator<Item = (&String, &RouteTarget)> {
        self.routes.iter()
    }
}
