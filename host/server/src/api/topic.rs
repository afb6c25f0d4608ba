//! What a WebSocket client wants to hear of.

use mandate_store::Event;
use mandate_types::{EventKind, Subject, TaskId};
use serde::Deserialize;

/// The most topics of one client.
const MOST_TOPICS: usize = 1_000;

/// What a client says.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Said {
    /// Who it is; only as the first message.
    #[serde(default)]
    pub token: Option<String>,
    /// Replaces what it wants to hear of.
    #[serde(default)]
    pub subscribe: Option<Vec<Topic>>,
    /// Only later than this number; from now on, or from what it has heard, when absent.
    #[serde(default)]
    pub after: Option<u64>,
}

/// One topic: all that is named in it must hold.
#[derive(Clone, Debug, Deserialize)]
#[serde(
    untagged,
    expecting = "expected \"all\", or an object with `task`, `collection`, `subject` or `kind`"
)]
pub enum Topic {
    /// A word; only `all` is known.
    Word(String),
    /// Events about something.
    About(About),
}

/// What events must be about.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct About {
    /// A task.
    #[serde(default)]
    task: Option<TaskId>,
    /// The records of a collection.
    #[serde(default)]
    collection: Option<String>,
    /// A record.
    #[serde(default)]
    subject: Option<Subject>,
    /// A kind.
    #[serde(default)]
    kind: Option<String>,
}

impl About {
    fn names_nothing(&self) -> bool {
        let Self {
            task,
            collection,
            subject,
            kind,
        } = self;
        task.is_none() && collection.is_none() && subject.is_none() && kind.is_none()
    }

    fn matches(&self, event: &Event) -> bool {
        let of = |subject: &Subject, collection: &str| subject.parts().0 == collection;
        self.task
            .as_ref()
            .is_none_or(|task| event.task.as_ref() == Some(task))
            && self
                .subject
                .as_ref()
                .is_none_or(|subject| event.subject.as_ref() == Some(subject))
            && self.kind.as_ref().is_none_or(|kind| event.kind == *kind)
            && self.collection.as_ref().is_none_or(|collection| {
                event
                    .subject
                    .as_ref()
                    .is_some_and(|subject| of(subject, collection))
            })
    }

    fn wants_snapshots(&self) -> bool {
        let only_kind = self.task.is_none() && self.collection.is_none() && self.subject.is_none();
        only_kind && self.kind.as_deref() == Some(EventKind::SYSTEM_UPDATE)
    }
}

/// All topics of a client; one of them must match.
#[derive(Clone, Debug)]
pub struct Topics {
    all: bool,
    about: Vec<About>,
}

impl Topics {
    /// These topics.
    ///
    /// # Errors
    /// What was expected instead, and where.
    pub fn new(topics: Vec<Topic>) -> Result<Self, String> {
        if topics.len() > MOST_TOPICS {
            return Err(format!("/subscribe: expected at most {MOST_TOPICS} topics"));
        }
        let (mut all, mut about) = (false, Vec::new());
        for (place, topic) in topics.into_iter().enumerate() {
            match topic {
                Topic::Word(word) if word == "all" => all = true,
                Topic::About(one) if !one.names_nothing() => about.push(one),
                Topic::Word(_) | Topic::About(_) => {
                    return Err(format!(
                        "/subscribe/{place}: expected \"all\", or an object with `task`, `collection`, `subject` or `kind`"
                    ));
                }
            }
        }
        Ok(Self { all, about })
    }

    /// Whether the client wants to hear of the event.
    pub fn matches(&self, event: &Event) -> bool {
        self.all || self.about.iter().any(|about| about.matches(event))
    }

    /// Whether the client wants the host's snapshots.
    pub fn wants_snapshots(&self) -> bool {
        self.all || self.about.iter().any(About::wants_snapshots)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mandate_types::{TenantId, Timestamp};
    use serde_json::{Value, json};

    fn topics(value: Value) -> Topics {
        let said: Said = serde_json::from_value(json!({"subscribe": value})).unwrap();
        Topics::new(said.subscribe.unwrap()).unwrap()
    }

    fn event(kind: &str, subject: Option<&str>, task: Option<&TaskId>) -> Event {
        Event {
            seq: 1,
            time: Timestamp::from_micros(0),
            kind: kind.into(),
            subject: subject.map(|s| Subject::parse(s).unwrap()),
            task: task.cloned(),
            tenant: TenantId::default(),
            data: json!({}),
        }
    }

    #[test]
    fn a_topic_matches_what_it_names() {
        let (mine, other) = (TaskId::fresh(), TaskId::fresh());
        let by_task = topics(json!([{"task": mine}]));
        assert!(by_task.matches(&event("a", None, Some(&mine))));
        assert!(!by_task.matches(&event("a", None, Some(&other))));
        let by_collection = topics(json!([{"collection": "incidents"}]));
        assert!(by_collection.matches(&event("a", Some("incidents/INC-1"), None)));
        assert!(!by_collection.matches(&event("a", Some("alerts/A-1"), None)));
        assert!(!by_collection.matches(&event("a", None, None)));
        let by_subject = topics(json!([{"subject": "incidents/INC-1"}]));
        assert!(by_subject.matches(&event("a", Some("incidents/INC-1"), None)));
        assert!(!by_subject.matches(&event("a", Some("incidents/INC-2"), None)));
    }

    #[test]
    fn topics_are_any_of_and_members_all_of() {
        let any = topics(json!([{"kind": "a"}, {"kind": "b"}]));
        assert!(any.matches(&event("a", None, None)) && any.matches(&event("b", None, None)));
        assert!(!any.matches(&event("c", None, None)));
        let both = topics(json!([{"kind": "a", "collection": "incidents"}]));
        assert!(both.matches(&event("a", Some("incidents/I"), None)));
        assert!(
            !both.matches(&event("a", None, None))
                && !both.matches(&event("b", Some("incidents/I"), None))
        );
        assert!(topics(json!(["all"])).matches(&event("x", None, None)));
        assert!(!topics(json!([])).matches(&event("x", None, None)));
    }

    #[test]
    fn snapshots_are_for_whoever_asks() {
        assert!(topics(json!(["all"])).wants_snapshots());
        assert!(topics(json!([{"kind": "system_update"}])).wants_snapshots());
        assert!(!topics(json!([{"kind": "task_created"}])).wants_snapshots());
    }

    #[test]
    fn what_is_no_topic_is_refused() {
        for bad in [json!(["every"]), json!([{}])] {
            let said: Said = serde_json::from_value(json!({"subscribe": bad})).unwrap();
            assert!(
                Topics::new(said.subscribe.unwrap())
                    .unwrap_err()
                    .contains("/subscribe/0")
            );
        }
        for bad in [json!([{"colour": 1}]), json!([5]), json!([{"task": "x"}])] {
            assert!(serde_json::from_value::<Said>(json!({"subscribe": bad})).is_err());
        }
        assert!(serde_json::from_value::<Said>(json!({"subscribed": []})).is_err());
    }
}
