//! Which service calls which, learnt from spans as they come: the service of a span whose parent
//! is another's. What came lately is in memory, so that nothing is searched for.

use super::rows;
use crate::series::{Edge, Span};
use crate::sqlite::sql::Arg;
use mandate_types::{TenantId, Timestamp};
use std::collections::{HashMap, HashSet, VecDeque};
use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;

/// How many spans are remembered: children and parents come within seconds of each other.
pub(super) const WINDOW: usize = 200_000;
/// How many edges are kept of a tenant.
pub(super) const MOST_EDGES: usize = 10_000;
/// How much later an edge must have been seen again to be written again.
const AGAIN: i64 = 60_000_000;
/// How many names of services are shared; beyond, they are gathered anew.
const NAMES: usize = 4_096;

/// Edges that were seen, and when last.
pub(super) type Seen = HashMap<(TenantId, Edge), i64>;

/// Rows of edges that were seen.
pub(super) fn rows_of(seen: &Seen) -> Vec<Vec<Arg>> {
    let one = |((tenant, edge), time): (&(TenantId, Edge), &i64)| {
        rows::edge(tenant, edge, Some(Timestamp::from_micros(*time)))
    };
    seen.iter().map(one).collect()
}

/// What is known of calls.
#[derive(Default)]
pub(super) struct Topology {
    hasher: RandomState,
    names: HashSet<Arc<str>>,
    /// The services of recent spans.
    recent: Remembered<Arc<str>>,
    /// The services of spans whose parent did not come yet.
    waiting: Remembered<Vec<Arc<str>>>,
    /// Edges on disk, and when they were seen by what is there.
    known: HashMap<TenantId, HashMap<Edge, i64>>,
}

/// The last so many of something, by a hash.
#[derive(Default)]
struct Remembered<T> {
    all: HashMap<u64, T>,
    order: VecDeque<u64>,
}

impl<T: Default> Remembered<T> {
    fn entry(&mut self, hash: u64) -> &mut T {
        if !self.all.contains_key(&hash) {
            self.order.push_back(hash);
            if self.order.len() > WINDOW
                && let Some(oldest) = self.order.pop_front()
            {
                self.all.remove(&oldest);
            }
        }
        self.all.entry(hash).or_default()
    }
}

impl Topology {
    /// Makes an edge known that is on disk.
    pub(super) fn know(&mut self, tenant: TenantId, edge: Edge, seen: i64) {
        self.known.entry(tenant).or_default().insert(edge, seen);
    }

    /// Forgets edges that were last seen before `cutoff`.
    pub(super) fn forget_before(&mut self, cutoff: i64) {
        for edges in self.known.values_mut() {
            edges.retain(|_, seen| *seen >= cutoff);
        }
        self.known.retain(|_, edges| !edges.is_empty());
    }

    /// Edges are on disk.
    pub(super) fn written(&mut self, seen: &mut Seen) {
        for ((tenant, edge), time) in seen.drain() {
            self.know(tenant, edge, time);
        }
    }

    /// Takes spans in: which of them are requests that came to a service from outside of it, and
    /// which edges are to be written.
    pub(super) fn observe<'s>(
        &mut self,
        tenant: &TenantId,
        spans: &'s [Span],
        seen: &mut Seen,
    ) -> Vec<(&'s Span, bool)> {
        for span in spans {
            let service = self.name(&span.service);
            let hash = self.hash(tenant, &span.trace_id, &span.span_id);
            *self.recent.entry(hash) = service;
        }
        let mut all = Vec::with_capacity(spans.len());
        for span in spans {
            let mut caller = None;
            if let Some(parent) = &span.parent_id {
                let hash = self.hash(tenant, &span.trace_id, parent);
                caller = self.recent.all.get(&hash).cloned();
                if caller.is_none() {
                    let service = self.name(&span.service);
                    let children = self.waiting.entry(hash);
                    // Many children of a parent are mostly of the same few services.
                    if children.len() < 16 && !children.contains(&service) {
                        children.push(service);
                    }
                }
            }
            if let Some(caller) = &caller {
                self.edge(tenant, caller, &span.service, span.start.micros(), seen);
            }
            let hash = self.hash(tenant, &span.trace_id, &span.span_id);
            for child in self.waiting.all.remove(&hash).unwrap_or_default() {
                self.edge(tenant, &span.service, &child, span.start.micros(), seen);
            }
            all.push((span, is_entry(span, caller.as_deref())));
        }
        all
    }

    fn edge(&self, tenant: &TenantId, caller: &str, callee: &str, at: i64, seen: &mut Seen) {
        if caller == callee {
            return;
        }
        let edge = Edge {
            caller: caller.to_owned(),
            callee: callee.to_owned(),
        };
        let known = self.known.get(tenant);
        let before = known.and_then(|edges| edges.get(&edge)).copied();
        let wanted = match before {
            Some(before) => at >= before.saturating_add(AGAIN),
            None => known.map_or(0, HashMap::len) < MOST_EDGES && seen.len() < MOST_EDGES,
        };
        if wanted {
            let time = seen.entry((tenant.clone(), edge)).or_insert(at);
            *time = at.max(*time);
        }
    }

    fn hash(&self, tenant: &TenantId, trace: &str, span: &str) -> u64 {
        self.hasher.hash_one((tenant, trace, span))
    }

    fn name(&mut self, service: &str) -> Arc<str> {
        if let Some(name) = self.names.get(service) {
            return name.clone();
        }
        if self.names.len() >= NAMES {
            self.names.clear();
        }
        let name: Arc<str> = Arc::from(service);
        self.names.insert(name.clone());
        name
    }
}

/// Whether a span is a request that came to its service from outside: as it says itself, or else
/// as its parent shows.
fn is_entry(span: &Span, caller: Option<&str>) -> bool {
    let kind = span.labels.iter().find(|(name, _)| name == "kind");
    match kind.map(|(_, kind)| kind.as_str()) {
        Some("server" | "consumer") => true,
        Some("client" | "producer") => false,
        _ => span.parent_id.is_none() || caller.is_some_and(|caller| caller != span.service),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(trace: &str, id: &str, parent: Option<&str>, service: &str) -> Span {
        Span {
            trace_id: trace.into(),
            span_id: id.into(),
            parent_id: parent.map(str::to_owned),
            service: service.into(),
            operation: "o".into(),
            start: Timestamp::from_micros(1),
            duration_us: 1,
            error: false,
            labels: Vec::new(),
        }
    }

    fn edges(topology: &mut Topology, spans: &[Span]) -> Vec<(String, String)> {
        let mut seen = Seen::default();
        topology.observe(&TenantId::default_tenant(), spans, &mut seen);
        let mut all: Vec<_> = seen
            .keys()
            .map(|(_, edge)| (edge.caller.clone(), edge.callee.clone()))
            .collect();
        all.sort();
        topology.written(&mut seen);
        all
    }

    fn pair(caller: &str, callee: &str) -> (String, String) {
        (caller.into(), callee.into())
    }

    #[test]
    fn an_edge_is_found_whoever_comes_first() {
        let mut topology = Topology::default();
        let (root, child) = (span("t", "1", None, "a"), span("t", "2", Some("1"), "b"));
        let grand = span("t", "3", Some("2"), "c");
        assert!(edges(&mut topology, &[grand, root]).is_empty());
        let found = edges(&mut topology, &[child]);
        assert_eq!(found, [pair("a", "b"), pair("b", "c")]);
    }

    #[test]
    fn the_same_again_is_not_written_again() {
        let mut topology = Topology::default();
        let spans = [span("t", "1", None, "a"), span("t", "2", Some("1"), "b")];
        assert_eq!(edges(&mut topology, &spans), [pair("a", "b")]);
        assert!(edges(&mut topology, &spans).is_empty());
        topology.forget_before(2);
        assert_eq!(edges(&mut topology, &spans), [pair("a", "b")]);
    }

    #[test]
    fn neither_another_trace_nor_the_same_service_is_an_edge() {
        let mut topology = Topology::default();
        let spans = [
            span("t", "1", None, "a"),
            span("u", "2", Some("1"), "b"),
            span("t", "3", Some("1"), "a"),
        ];
        assert!(edges(&mut topology, &spans).is_empty());
    }

    #[test]
    fn entries_are_what_comes_from_outside() {
        let mut own = span("t", "1", Some("0"), "a");
        assert!(is_entry(&span("t", "1", None, "a"), None));
        assert!(is_entry(&own, Some("b")) && !is_entry(&own, Some("a")) && !is_entry(&own, None));
        own.labels = vec![("kind".into(), "server".into())];
        assert!(is_entry(&own, None));
        own.labels = vec![("kind".into(), "client".into())];
        assert!(!is_entry(&own, Some("b")));
        own.labels = vec![("kind".into(), "internal".into())];
        own.parent_id = None;
        assert!(is_entry(&own, None), "a request that begins here");
    }
}
