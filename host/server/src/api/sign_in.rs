//! Sign-ins on record: that a token is in use, once an hour, and that unknown ones were sent,
//! counted, so that who sends many of them fills no disk.

use super::auth::TokenKey;
use crate::acts;
use mandate_store::{Principal, SharedStore, Write};
use mandate_types::Timestamp;
use serde_json::{Value, json};
use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How often the use of a token is told.
const EVERY: Duration = Duration::from_hours(1);
/// How often refusals are told.
const PAUSE: Duration = Duration::from_mins(10);
/// Addresses that are named in one act.
const MOST_ADDRESSES: usize = 32;

/// What is on record of sign-ins.
pub struct SignIns {
    store: SharedStore,
    told: Mutex<HashMap<TokenKey, Timestamp>>,
    refusals: Arc<Mutex<Refusals>>,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// That it cannot be written is told in the log only: a full disk must not keep out who could
/// make room.
async fn record(store: SharedStore, act: Write) {
    if let Err(error) = store.commit(None, vec![act]).await {
        tracing::error!(%error, "a sign-in is not on record");
    }
}

impl SignIns {
    pub fn new(store: SharedStore) -> Self {
        Self {
            store,
            told: Mutex::default(),
            refusals: Arc::default(),
        }
    }

    /// A token is in use. Returns when that is on record, if it was not yet.
    pub async fn came(&self, key: TokenKey, principal: &Principal, address: Option<IpAddr>) {
        if self.is_new(key) {
            let act = acts::signed_in(principal, address);
            // Whoever called may go away meanwhile.
            let recorded = tokio::spawn(record(self.store.clone(), act));
            if let Err(error) = recorded.await {
                tracing::error!(%error, "a sign-in is not on record");
            }
        }
    }

    /// Whether this token was not told of within the last hour; from now on it was.
    fn is_new(&self, key: TokenKey) -> bool {
        let now = Timestamp::now();
        let mut told = locked(&self.told);
        told.retain(|_, at| now.since(*at) < EVERY);
        match told.entry(key) {
            Entry::Occupied(_) => false,
            Entry::Vacant(place) => {
                place.insert(now);
                true
            }
        }
    }

    /// A token that is none of ours was sent.
    pub fn refused(&self, address: Option<IpAddr>) {
        let wait = locked(&self.refusals).count(Timestamp::now(), address);
        let Some(wait) = wait else { return };
        let (store, refusals) = (self.store.clone(), self.refusals.clone());
        tokio::spawn(async move {
            tokio::time::sleep(wait).await;
            let data = locked(&refusals).take(Timestamp::now());
            record(store, acts::sign_in_refused(data)).await;
        });
    }
}

/// Refusals that are not on record yet.
#[derive(Default)]
struct Refusals {
    count: u64,
    since: Option<Timestamp>,
    addresses: BTreeMap<IpAddr, u64>,
    told: Option<Timestamp>,
}

impl Refusals {
    /// Counts one; says how long to wait until all are told, if it is the first of them.
    fn count(&mut self, now: Timestamp, address: Option<IpAddr>) -> Option<Duration> {
        self.count += 1;
        if let Some(address) = address
            && (self.addresses.len() < MOST_ADDRESSES || self.addresses.contains_key(&address))
        {
            *self.addresses.entry(address).or_default() += 1;
        }
        if self.since.is_some() {
            return None;
        }
        self.since = Some(now);
        let past = self.told.map_or(PAUSE, |told| now.since(told));
        Some(PAUSE.saturating_sub(past))
    }

    /// All that were counted, to be told now.
    fn take(&mut self, now: Timestamp) -> Value {
        let told = std::mem::take(self);
        self.told = Some(now);
        json!({"count": told.count, "since": told.since, "addresses": told.addresses})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_refusals_are_one_act() {
        let at = |seconds: i64| Timestamp::from_micros(seconds * 1_000_000);
        let address = |n: u8| Some(IpAddr::from([10, 0, 0, n]));
        let mut refusals = Refusals::default();
        assert_eq!(refusals.count(at(100), address(1)), Some(Duration::ZERO));
        let first = refusals.take(at(100));
        assert_eq!(
            (&first["count"], &first["since"]),
            (&json!(1), &json!(at(100)))
        );
        // What comes soon afterwards waits, and is told together.
        assert_eq!(
            refusals.count(at(160), None),
            Some(Duration::from_secs(540))
        );
        for n in 0..=255 {
            assert_eq!(refusals.count(at(161), address(n)), None);
            assert_eq!(refusals.count(at(162), address(0)), None);
        }
        let then = refusals.take(at(700));
        assert_eq!(then["count"], 513);
        let named = then["addresses"].as_object().unwrap();
        assert_eq!(
            (named.len(), &named["10.0.0.0"]),
            (MOST_ADDRESSES, &json!(257))
        );
        assert_eq!(refusals.count(at(5_000), None), Some(Duration::ZERO));
    }
}
