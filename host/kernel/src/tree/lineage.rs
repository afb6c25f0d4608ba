//! The chain of invocations above one, and the guards that follow it: depth, number, circles.

use mandate_runtime::Stopwatch;
use mandate_store::Invocation;
use mandate_types::{GuestKind, InvocationId, LimitHit, LimitName, PluginName};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Each invocation, with how many there are of it and below it.
pub(super) fn sizes(known: &[Invocation]) -> HashMap<InvocationId, u64> {
    let parents: HashMap<_, _> = known
        .iter()
        .map(|invocation| (&invocation.id, invocation.parent.as_ref()))
        .collect();
    let mut sizes: HashMap<InvocationId, u64> = HashMap::new();
    for invocation in known {
        let mut above = Some(&invocation.id);
        // No chain is longer than there are invocations, whatever the rows say.
        for _ in 0..=known.len() {
            let Some(id) = above else { break };
            *sizes.entry(id.clone()).or_default() += 1;
            above = parents.get(id).copied().flatten();
        }
    }
    sizes
}

/// An invocation and those above it: where guards that follow the chain of causes look.
pub struct Lineage {
    /// The installed name of the plugin.
    pub plugin: PluginName,
    /// Agent or tool.
    pub kind: GuestKind,
    /// How far below the root.
    pub depth: u32,
    /// Measures how long it runs.
    pub watch: Stopwatch,
    children: AtomicU64,
    most_children: u64,
    most_depth: u32,
    parent: Option<Arc<Lineage>>,
}

impl Lineage {
    /// An invocation below `parent`, allowed so many below itself.
    pub fn new(
        plugin: PluginName,
        kind: GuestKind,
        limits: &mandate_types::Limits,
        parent: Option<Arc<Lineage>>,
    ) -> Self {
        Self {
            plugin,
            kind,
            depth: parent.as_ref().map_or(0, |p| p.depth.saturating_add(1)),
            watch: Stopwatch::after(Duration::ZERO),
            children: AtomicU64::new(0),
            most_children: limits.children,
            most_depth: limits.depth,
            parent,
        }
    }

    /// The same, of an invocation that ran so long already.
    pub fn having_run(self, before: Duration) -> Self {
        Self {
            watch: Stopwatch::after(before),
            ..self
        }
    }

    /// How long it has run, in microseconds.
    pub fn active_us(&self) -> u64 {
        u64::try_from(self.watch.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    fn upwards(&self) -> impl Iterator<Item = &Lineage> {
        std::iter::successors(Some(self), |lineage| lineage.parent.as_deref())
    }

    /// Counts again what was counted before the execution went on here.
    pub fn count_again(&self, children: u64) {
        for lineage in self.upwards() {
            lineage.children.fetch_add(children, Ordering::Relaxed);
        }
    }

    /// Counts one more invocation below this one and all above it.
    ///
    /// # Errors
    /// The limit that one of them hit.
    pub fn admit_child(&self) -> Result<(), LimitHit> {
        for lineage in self.upwards() {
            let below = self.depth.saturating_add(1).saturating_sub(lineage.depth);
            if below > lineage.most_depth {
                return Err(LimitHit {
                    limit: LimitName::Depth,
                    value: u64::from(lineage.most_depth),
                });
            }
            if lineage.children.fetch_add(1, Ordering::Relaxed) >= lineage.most_children {
                return Err(LimitHit {
                    limit: LimitName::Children,
                    value: lineage.most_children,
                });
            }
        }
        Ok(())
    }

    /// The plugins from the root to this one.
    pub fn chain(&self) -> Vec<PluginName> {
        let mut chain: Vec<_> = self.upwards().map(|l| l.plugin.clone()).collect();
        chain.reverse();
        chain
    }

    /// The chain from the root to the agent `name`, if that agent is in it: calling it again
    /// would be a circle.
    pub fn circle(&self, name: &PluginName) -> Option<String> {
        let mut chain: Vec<&str> = self.upwards().map(|l| l.plugin.as_str()).collect();
        let known = self
            .upwards()
            .any(|l| l.kind == GuestKind::Agent && l.plugin == *name);
        known.then(|| {
            chain.reverse();
            chain.push(name.as_str());
            chain.join(" → ")
        })
    }
}

/// An invocation is being replayed, as long as this is held: that counts neither as its time nor
/// as that of those who wait for it.
pub struct Replaying(Arc<Lineage>);

impl Replaying {
    /// From now on.
    pub fn begin(lineage: &Arc<Lineage>) -> Self {
        lineage.upwards().for_each(|above| above.watch.hold());
        Self(lineage.clone())
    }
}

impl Drop for Replaying {
    fn drop(&mut self) {
        self.0.upwards().for_each(|above| above.watch.release());
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples::invocation;
    use super::*;
    use mandate_types::Limits;

    #[test]
    fn children_count_for_all_above_them_also_after_a_restart() {
        let (root, mut child, mut grandchild) = (invocation(), invocation(), invocation());
        child.parent = Some(root.id.clone());
        grandchild.parent = Some(child.id.clone());
        let sizes = sizes(&[root.clone(), child.clone(), grandchild.clone()]);
        assert_eq!(sizes[&root.id], 3);
        assert_eq!(sizes[&child.id], 2);
        assert_eq!(sizes[&grandchild.id], 1);
        let limits = Limits {
            children: 4,
            ..Limits::default()
        };
        let plugin = PluginName::parse("text").unwrap();
        let lineage = Lineage::new(plugin, GuestKind::Agent, &limits, None);
        lineage.count_again(sizes[&child.id]);
        assert!(lineage.admit_child().is_ok() && lineage.admit_child().is_ok());
        assert_eq!(
            lineage.admit_child().unwrap_err().limit,
            LimitName::Children
        );
    }
}
