//! A record's timeline: the tasks, events and log lines that are about it, newest first.

use super::auth::{Caller, Viewer};
use super::doc::Finds;
use super::error::ApiResult;
use super::input::{MOST_ITEMS, Params, PathOf};
use super::{Api, Listing, records};
use axum::Json;
use axum::extract::State;
use mandate_kernel::CollectionEntry;
use mandate_store::{Event, EventQuery, LogLine, TaskQuery};
use mandate_types::{PluginName, Problem, Subject, TaskId, TaskStatus, TenantId, Timestamp};
use serde::Serialize;

/// A task, as briefly as a timeline wants it.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct TaskBrief {
    /// Its id.
    pub id: TaskId,
    /// One line.
    pub title: String,
    /// Of the task.
    #[serde(rename = "task_kind")]
    pub kind: String,
    /// Where it is.
    pub status: TaskStatus,
    /// What came of it.
    pub summary: Option<String>,
    /// Who does it.
    pub assigned_agents: Vec<PluginName>,
    /// When it ended.
    pub completed_at: Option<Timestamp>,
}

/// What happened.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum What {
    /// A task about the record was accepted.
    Task {
        /// Which.
        task: TaskBrief,
    },
    /// An event about the record.
    Event {
        /// Which.
        event: Event,
    },
    /// A plugin logged something while it worked on the record.
    Log {
        /// What.
        log: LogLine,
    },
}

impl What {
    /// Things of the same time keep one order.
    fn tie(&self) -> (u8, String) {
        match self {
            Self::Task { task } => (0, task.id.to_string()),
            Self::Event { event } => (1, format!("{:020}", event.seq)),
            Self::Log { log } => (2, format!("{}{}", log.invocation, log.message)),
        }
    }
}

/// One thing of a timeline.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct Happened {
    /// When.
    pub time: Timestamp,
    /// What.
    #[serde(flatten)]
    pub what: What,
}

/// Where the next page begins: things not later than a time, without those given out of it.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Place {
    until: Timestamp,
    given: usize,
}

impl Place {
    const START: Self = Self {
        until: Timestamp::from_micros(i64::MAX - 1),
        given: 0,
    };

    fn read(text: &str) -> Option<Self> {
        let (micros, given) = text.split_once('-')?;
        let (micros, given) = (micros.parse::<u64>().ok()?, given.parse().ok()?);
        let until = Timestamp::from_micros(i64::try_from(micros).ok()?);
        (given <= MOST_ITEMS as usize).then_some(Self { until, given })
    }

    fn written(self) -> String {
        format!("{}-{}", self.until.micros(), self.given)
    }
}

/// The timeline of a record: tasks, events and log lines that are about it, newest first.
#[utoipa::path(
    get, path = "/api/v1/records/{collection}/{id}/activity", tag = "records", operation_id = "activity",
    params(
        ("collection" = String, Path), ("id" = String, Path),
        ("tenant" = Option<String>, Query),
        ("limit" = Option<u32>, Query, description = "1–1000, 50 when absent"),
        ("cursor" = Option<String>, Query, description = "From the page before"),
    ),
    responses((status = 200, body = Listing<Happened>), Finds),
)]
pub async fn get(
    viewer: Viewer,
    State(api): State<Api>,
    PathOf((collection, id)): PathOf<(String, String)>,
    params: Params,
) -> ApiResult<Json<Listing<Happened>>> {
    let entry = records::collection(&api, &collection)?;
    of(&api, &viewer, &entry, &id, params).await
}

/// As [`get`], in a collection that was found already. A record that was removed still has
/// its timeline.
///
/// # Errors
/// 404 when there is neither a record nor anything about one.
pub async fn of(
    api: &Api,
    caller: &Caller,
    entry: &CollectionEntry,
    id: &str,
    mut params: Params,
) -> ApiResult<Json<Listing<Happened>>> {
    let named = params.parsed("tenant")?;
    let (limit, cursor) = (params.limit()?, params.text("cursor")?);
    params.finish()?;
    let place = match cursor {
        None => Place::START,
        Some(text) => Place::read(&text)
            .ok_or_else(|| Problem::invalid_field("cursor", "a cursor that this host gave out"))?,
    };
    let tenant = caller.tenant(named.clone())?;
    let about = About {
        subject: Subject::of(&entry.declared.name, id)
            .map_err(|error| Problem::not_found(format!("such record: {error}")))?,
        tenants: vec![tenant],
    };
    // Enough of each for the page, for what was given out before, and to see if there is more.
    let most = limit as usize + place.given + 1;
    let mut all = about.tasks(api, place, most).await?;
    all.extend(about.events(api, place, most).await?);
    all.extend(about.logs(api, place, most).await?);
    if all.is_empty() && place == Place::START {
        records::seen(api, caller, entry, id, named).await?;
    }
    Ok(Json(page(all, place, limit as usize)))
}

/// The newest `limit` of `all`, after those that were given out before.
fn page(mut all: Vec<Happened>, place: Place, limit: usize) -> Listing<Happened> {
    all.sort_by_cached_key(|one| std::cmp::Reverse((one.time, one.what.tie())));
    let mut items: Vec<Happened> = all.into_iter().skip(place.given).collect();
    let more = items.len() > limit;
    items.truncate(limit);
    let cursor = items.last().filter(|_| more).map(|last| {
        let same = items
            .iter()
            .rev()
            .take_while(|one| one.time == last.time)
            .count();
        let before = if last.time == place.until {
            place.given
        } else {
            0
        };
        Place {
            until: last.time,
            given: same + before,
        }
        .written()
    });
    Listing { items, cursor }
}

/// What a timeline is about.
struct About {
    subject: Subject,
    tenants: Vec<TenantId>,
}

impl About {
    async fn tasks(&self, api: &Api, place: Place, most: usize) -> ApiResult<Vec<Happened>> {
        let mut query = TaskQuery {
            tenants: Some(self.tenants.clone()),
            subject: Some(self.subject.clone()),
            created_before: Some(Timestamp::from_micros(
                place.until.micros().saturating_add(1),
            )),
            limit: MOST_ITEMS,
            ..TaskQuery::default()
        };
        let mut found = Vec::new();
        while found.len() < most {
            query.limit = u32::try_from(most - found.len())
                .unwrap_or(MOST_ITEMS)
                .min(MOST_ITEMS);
            let page = api.store().tasks(&query).await?;
            found.extend(page.items.into_iter().map(|task| Happened {
                time: task.created_at,
                what: What::Task {
                    task: TaskBrief {
                        id: task.id,
                        title: task.title,
                        kind: task.kind,
                        status: task.status,
                        summary: task.summary,
                        assigned_agents: task.assigned_agents,
                        completed_at: task.completed_at,
                    },
                },
            }));
            query.cursor = page.cursor;
            if query.cursor.is_none() {
                break;
            }
        }
        Ok(found)
    }

    async fn events(&self, api: &Api, place: Place, most: usize) -> ApiResult<Vec<Happened>> {
        let query = EventQuery {
            tenants: Some(self.tenants.clone()),
            subject: Some(self.subject.clone()),
            until: Some(place.until),
            limit: u32::try_from(most).unwrap_or(u32::MAX),
            newest_first: true,
            ..EventQuery::default()
        };
        let newest = api.store().events(&query).await?;
        let happened = newest.into_iter().map(|event| Happened {
            time: event.time,
            what: What::Event { event },
        });
        Ok(happened.collect())
    }

    async fn logs(&self, api: &Api, place: Place, most: usize) -> ApiResult<Vec<Happened>> {
        let mut found = Vec::new();
        let mut cursor: Option<String> = None;
        while found.len() < most {
            let page = api
                .store()
                .logs(
                    Some(&self.tenants),
                    None,
                    None,
                    Some(&self.subject),
                    MOST_ITEMS,
                    cursor.as_deref(),
                )
                .await?;
            let lines = page.items.into_iter().filter(|line| line.at <= place.until);
            found.extend(lines.map(|log| Happened {
                time: log.at,
                what: What::Log { log },
            }));
            cursor = page.cursor;
            if cursor.is_none() {
                break;
            }
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn events(times: &[i64]) -> Vec<Happened> {
        let event = |(seq, time): (usize, &i64)| Happened {
            time: Timestamp::from_micros(*time),
            what: What::Event {
                event: Event {
                    seq: seq as u64,
                    time: Timestamp::from_micros(*time),
                    kind: "k".into(),
                    subject: None,
                    task: None,
                    tenant: TenantId::default(),
                    data: json!({}),
                },
            },
        };
        times.iter().enumerate().map(event).collect()
    }

    /// Everything comes exactly once, whatever the size of the pages, with many at one time.
    #[test]
    fn pages_have_no_gap_and_no_repeat() {
        let times = [5, 5, 5, 5, 3, 3, 2, 1, 1, 1];
        for limit in 1..=times.len() + 1 {
            let (mut place, mut seen) = (Place::START, Vec::new());
            loop {
                let visible = events(&times)
                    .into_iter()
                    .filter(|one| one.time <= place.until)
                    .collect();
                let listing = page(visible, place, limit);
                seen.extend(listing.items.iter().map(|one| one.what.tie().1));
                match listing.cursor {
                    Some(cursor) => place = Place::read(&cursor).unwrap(),
                    None => break,
                }
            }
            let mut unique = seen.clone();
            unique.sort();
            unique.dedup();
            assert_eq!(
                (seen.len(), unique.len()),
                (times.len(), times.len()),
                "limit {limit}"
            );
        }
    }

    #[test]
    fn foreign_cursors_are_refused() {
        for bad in ["", "x", "1", "-1-0", "1-99999999", "1-x"] {
            assert!(Place::read(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn an_item_says_its_kind_once() {
        let text = serde_json::to_value(&events(&[1])[0]).unwrap();
        assert_eq!(text["kind"], "event");
        assert_eq!(text["event"]["kind"], "k");
    }
}
