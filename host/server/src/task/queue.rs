//! Which task starts next: by priority, then age, where its plugin has room.

use mandate_kernel::Stop;
use mandate_policy::Halts;
use mandate_store::Task;
use mandate_types::{TaskId, TaskStatus, Timestamp, json};
use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Instant;

/// Small is first: high priority, then old.
type Place = (Reverse<u8>, Timestamp, TaskId);

enum Known {
    Queued(String, Place),
    /// With what is to run once more when it has ended.
    Running(Stop, Option<Arc<Task>>),
}

/// The tasks of one plugin that wait, each perhaps not before a time.
type Waiting = BTreeMap<Place, (Arc<Task>, Option<Instant>)>;

/// The unfinished tasks of this host.
pub struct Queue {
    concurrency: usize,
    queued: HashMap<String, Waiting>,
    /// Those that a halt keeps from starting.
    halted: Waiting,
    halts: Arc<Halts>,
    running: HashMap<String, usize>,
    running_total: usize,
    queued_bytes: usize,
    known: HashMap<TaskId, Known>,
}

impl Queue {
    /// An empty queue that lets so many run at once.
    pub fn new(concurrency: usize) -> Self {
        Self {
            concurrency: concurrency.max(1),
            queued: HashMap::new(),
            halted: Waiting::new(),
            halts: Arc::default(),
            running: HashMap::new(),
            running_total: 0,
            queued_bytes: 0,
            known: HashMap::new(),
        }
    }

    /// Adds a task unless it is known; with `not_before` it waits so long.
    pub fn add(&mut self, task: Arc<Task>, not_before: Option<Instant>) {
        if self.known.contains_key(&task.id) {
            return;
        }
        let plugin = plugin(&task);
        let place = (Reverse(task.priority), task.created_at, task.id.clone());
        self.known.insert(
            task.id.clone(),
            Known::Queued(plugin.clone(), place.clone()),
        );
        self.queued_bytes = self.queued_bytes.saturating_add(bytes(&task));
        if is_halted(&self.halts, &task) {
            self.halted.insert(place, (task, not_before));
        } else {
            self.queued
                .entry(plugin)
                .or_default()
                .insert(place, (task, not_before));
        }
    }

    /// Keeps those apart that are halted now. Looking at all of them costs something only when
    /// that changes, and nothing when the next task is taken.
    pub fn follow(&mut self, halts: &Arc<Halts>) {
        if Arc::ptr_eq(&self.halts, halts) {
            return;
        }
        self.halts = halts.clone();
        let mut halted = std::mem::take(&mut self.halted);
        halted.retain(|place, (task, not_before)| {
            let stays = is_halted(halts, task);
            if !stays {
                self.queued
                    .entry(plugin(task))
                    .or_default()
                    .insert(place.clone(), (task.clone(), *not_before));
            }
            stays
        });
        self.queued.retain(|_, tasks| {
            tasks.retain(|place, (task, not_before)| {
                let stays = !is_halted(halts, task);
                if !stays {
                    halted.insert(place.clone(), (task.clone(), *not_before));
                }
                stays
            });
            !tasks.is_empty()
        });
        self.halted = halted;
    }

    /// How many run that were stopped to go on another time.
    pub fn suspended(&self) -> usize {
        let suspended =
            |known: &&Known| matches!(known, Known::Running(stop, _) if stop.suspends());
        self.known.values().filter(suspended).count()
    }

    /// Adds a task that is to run anew. Its end may be on record and told before this host is
    /// done with it: then it waits for that.
    pub fn add_anew(&mut self, task: Arc<Task>) {
        match self.known.get_mut(&task.id) {
            Some(Known::Running(_, next)) => *next = Some(task),
            _ => self.add(task, None),
        }
    }

    /// Takes the next task that may run; `room` says how many of a plugin may run at once.
    pub fn next(&mut self, room: impl Fn(&str) -> usize) -> Option<(Arc<Task>, Stop)> {
        if self.running_total >= self.concurrency {
            return None;
        }
        let now = Instant::now();
        let best = self
            .queued
            .iter()
            .filter(|(plugin, _)| self.running.get(*plugin).copied().unwrap_or(0) < room(plugin))
            .filter_map(|(plugin, tasks)| {
                let ready = tasks
                    .iter()
                    .find(|(_, (_, time))| time.is_none_or(|t| t <= now));
                ready.map(|(place, _)| (place.clone(), plugin.clone()))
            })
            .min()?;
        let (place, plugin) = best;
        let tasks = self.queued.get_mut(&plugin)?;
        let (task, _) = tasks.remove(&place)?;
        if tasks.is_empty() {
            self.queued.remove(&plugin);
        }
        self.queued_bytes = self.queued_bytes.saturating_sub(bytes(&task));
        let stop = Stop::new();
        self.known
            .insert(task.id.clone(), Known::Running(stop.clone(), None));
        *self.running.entry(plugin).or_default() += 1;
        self.running_total += 1;
        Some((task, stop))
    }

    /// Forgets a task that ran, or queues it if it is to run anew.
    pub fn done(&mut self, task: &Task) {
        if let Some(Known::Running(_, next)) = self.known.remove(&task.id) {
            self.running_total = self.running_total.saturating_sub(1);
            let plugin = plugin(task);
            if let Some(count) = self.running.get_mut(&plugin) {
                *count = count.saturating_sub(1);
                if *count == 0 {
                    self.running.remove(&plugin);
                }
            }
            if let Some(next) = next {
                self.add(next, None);
            }
        }
    }

    /// Stops the task if it runs, and says so; otherwise takes it out of the queue.
    pub fn take_or_stop(&mut self, id: &TaskId, reason: &str) -> bool {
        match self.known.get_mut(id) {
            Some(Known::Running(stop, next)) => {
                if next.take().is_some() {
                    // What ran has ended; what is to run anew never starts.
                    return false;
                }
                stop.stop(reason);
                true
            }
            Some(Known::Queued(plugin, place)) => {
                let mut taken = self.halted.remove(place);
                if taken.is_none()
                    && let Some(tasks) = self.queued.get_mut(plugin)
                {
                    taken = tasks.remove(place);
                    if tasks.is_empty() {
                        self.queued.remove(plugin);
                    }
                }
                if let Some((task, _)) = taken {
                    self.queued_bytes = self.queued_bytes.saturating_sub(bytes(&task));
                }
                self.known.remove(id);
                false
            }
            None => false,
        }
    }

    /// How many are known.
    pub fn len(&self) -> usize {
        self.known.len()
    }

    /// How many bytes of text those have that wait: they are held in memory.
    pub fn queued_bytes(&self) -> usize {
        self.queued_bytes
    }

    /// How many of them run.
    pub fn running(&self) -> usize {
        self.running_total
    }
}

/// The texts that a client or guest gave a task; the rest is small.
fn bytes(task: &Task) -> usize {
    let values = [&task.input, &task.metadata]
        .into_iter()
        .chain(&task.continuation);
    task.description.len() + values.map(json::length).sum::<usize>()
}

/// Whether a halt keeps the task from starting. One that ran is let through: it is put at rest by
/// whoever takes it up.
fn is_halted(halts: &Halts, task: &Task) -> bool {
    task.status == TaskStatus::Pending
        && halts
            .covering(&task.tenant, &task.assigned_agents)
            .is_some()
}

fn plugin(task: &Task) -> String {
    task.assigned_agents
        .first()
        .map(ToString::to_string)
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use mandate_types::{PluginName, PrincipalName, TenantId};

    fn task(agent: &str, priority: u8, age: i64) -> Arc<Task> {
        let mut task = Task::new(
            TaskId::fresh(),
            "k".into(),
            "t".into(),
            TenantId::default(),
            PrincipalName::parse("p").unwrap(),
            Timestamp::from_micros(1_000 - age),
        );
        task.priority = priority;
        task.assigned_agents = vec![PluginName::parse(agent).unwrap()];
        Arc::new(task)
    }

    #[test]
    fn priority_first_then_age() {
        let mut queue = Queue::new(10);
        let (low, high, old) = (task("a", 1, 9), task("b", 9, 0), task("a", 5, 5));
        let young = task("b", 5, 1);
        for t in [&low, &young, &old, &high] {
            queue.add(t.clone(), None);
        }
        let order: Vec<TaskId> = std::iter::from_fn(|| queue.next(|_| 10))
            .map(|(t, _)| t.id.clone())
            .collect();
        assert_eq!(order, [&high, &old, &young, &low].map(|t| t.id.clone()));
    }

    #[test]
    fn a_full_plugin_does_not_hold_up_others() {
        let mut queue = Queue::new(10);
        let (first, second, other) = (task("a", 9, 3), task("a", 9, 2), task("b", 1, 1));
        for t in [&first, &second, &other] {
            queue.add(t.clone(), None);
        }
        assert_eq!(queue.next(|_| 1).unwrap().0.id, first.id);
        assert_eq!(queue.next(|_| 1).unwrap().0.id, other.id);
        assert!(queue.next(|_| 1).is_none());
        queue.done(&first);
        assert_eq!(queue.next(|_| 1).unwrap().0.id, second.id);
    }

    #[test]
    fn no_more_than_the_host_allows() {
        let mut queue = Queue::new(1);
        queue.add(task("a", 5, 1), None);
        queue.add(task("b", 5, 1), None);
        assert!(queue.next(|_| 9).is_some());
        assert!(queue.next(|_| 9).is_none());
    }

    #[test]
    fn what_waits_is_weighed() {
        let mut queue = Queue::new(1);
        let heavy = |agent, text: &str| {
            let mut heavy = Task::clone(&task(agent, 5, 1));
            heavy.input = serde_json::json!({ "text": text });
            Arc::new(heavy)
        };
        let (first, second) = (heavy("a", &"x".repeat(1_000)), heavy("b", "y"));
        queue.add(first.clone(), None);
        let one = queue.queued_bytes();
        assert!((1_000..1_100).contains(&one), "{one}");
        queue.add(second.clone(), None);
        assert!(queue.queued_bytes() > one);
        queue.take_or_stop(&second.id, "why");
        assert_eq!(queue.queued_bytes(), one);
        queue.next(|_| 9).unwrap();
        assert_eq!(queue.queued_bytes(), 0);
    }

    fn halts(scopes: &[&str]) -> Arc<Halts> {
        let halt = |scope: &&str| mandate_types::Halt {
            scope: scope.parse().unwrap(),
            reason: "why".into(),
            by: PrincipalName::parse("p").unwrap(),
            at: Timestamp::from_micros(1),
        };
        Arc::new(scopes.iter().map(halt).collect())
    }

    #[test]
    fn what_is_halted_waits_in_its_place_and_holds_up_nobody() {
        let mut queue = Queue::new(10);
        let of_tenant = |agent, priority, tenant: &str| {
            let mut task = Task::clone(&task(agent, priority, 1));
            task.tenant = TenantId::parse(tenant).unwrap();
            Arc::new(task)
        };
        let (first, second) = (of_tenant("a", 9, "acme"), of_tenant("a", 8, "beta"));
        let third = of_tenant("b", 7, "beta");
        for one in [&first, &second, &third] {
            queue.add(one.clone(), None);
        }
        queue.follow(&halts(&["tenant/acme", "plugin/b"]));
        assert_eq!(queue.next(|_| 9).unwrap().0.id, second.id);
        assert!(queue.next(|_| 9).is_none());
        assert_eq!(queue.len(), 3);
        let late = of_tenant("b", 9, "acme");
        queue.add(late.clone(), None);
        queue.follow(&halts(&["plugin/b"]));
        assert_eq!(queue.next(|_| 9).unwrap().0.id, first.id);
        assert!(queue.next(|_| 9).is_none());
        assert!(
            !queue.take_or_stop(&late.id, "why"),
            "cancelled while halted"
        );
        queue.follow(&halts(&[]));
        assert_eq!(queue.next(|_| 9).unwrap().0.id, third.id);
        assert!(queue.next(|_| 9).is_none());
        assert_eq!(queue.queued_bytes(), 0);
    }

    #[test]
    fn nothing_starts_on_a_halted_host_but_what_is_to_be_put_at_rest() {
        let mut queue = Queue::new(10);
        let mut running = Task::clone(&task("a", 1, 1));
        running.status = TaskStatus::Running;
        queue.add(task("a", 9, 1), None);
        queue.add(Arc::new(running.clone()), None);
        queue.follow(&halts(&["host"]));
        assert_eq!(queue.next(|_| 9).unwrap().0.id, running.id);
        assert!(queue.next(|_| 9).is_none());
    }

    #[test]
    fn the_same_task_is_queued_once() {
        let mut queue = Queue::new(10);
        let one = task("a", 5, 1);
        queue.add(one.clone(), None);
        queue.add(one.clone(), None);
        assert_eq!(queue.len(), 1);
        let (_, stop) = queue.next(|_| 9).unwrap();
        queue.add(one.clone(), None);
        assert!(queue.next(|_| 9).is_none());
        assert!(queue.take_or_stop(&one.id, "why"));
        assert_eq!(stop.reason(), Some("why"));
    }

    #[test]
    fn a_task_that_is_executed_anew_just_as_it_ends_is_not_lost() {
        let mut queue = Queue::new(10);
        let one = task("a", 5, 1);
        queue.add_anew(one.clone());
        queue.next(|_| 9).unwrap();
        queue.add_anew(one.clone());
        assert!(queue.next(|_| 9).is_none());
        queue.done(&one);
        assert_eq!(queue.next(|_| 9).unwrap().0.id, one.id);
        queue.add_anew(one.clone());
        assert!(!queue.take_or_stop(&one.id, "what ran has ended already"));
        queue.done(&one);
        assert_eq!((queue.len(), queue.running()), (0, 0));
    }
}
