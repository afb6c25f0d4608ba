//! Answers that are given again: to the same question of the same tenant, where a model would say
//! the same.

use crate::{Embeddings, LlmError, Request, Response, measure};
use mandate_types::MicroUsd;
use moka::future::Cache as Kept;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// How much is kept, and how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CacheSettings {
    /// Bytes of answers; 0 keeps none.
    pub bytes: u64,
    /// For how many seconds an answer is given again.
    pub seconds: u64,
}

impl Default for CacheSettings {
    fn default() -> Self {
        Self {
            bytes: 64 << 20,
            seconds: 600,
        }
    }
}

type Key = [u8; 32];

/// Answers by their question.
#[derive(Clone)]
pub struct Cache<T: Clone + Send + Sync + 'static> {
    kept: Kept<Key, Arc<T>>,
}

/// An answer that may be kept.
pub trait Answered: Clone + Serialize + Send + Sync + 'static {
    /// As it is given again: nobody was asked and nothing paid.
    fn again(&self) -> Self;

    /// Whether no model gave it: then a later call may have a better one.
    fn is_simulated(&self) -> bool;
}

impl Answered for Response {
    fn again(&self) -> Self {
        Self {
            cost: MicroUsd::ZERO,
            cached: true,
            attempts: Vec::new(),
            ..self.clone()
        }
    }

    fn is_simulated(&self) -> bool {
        self.simulated
    }
}

impl Answered for Embeddings {
    fn again(&self) -> Self {
        Self {
            cost: MicroUsd::ZERO,
            cached: true,
            attempts: Vec::new(),
            ..self.clone()
        }
    }

    fn is_simulated(&self) -> bool {
        self.simulated
    }
}

/// Whether a model would answer the same again, as far as anybody can say: also with what it
/// thought, which is no part of the question.
pub fn is_deterministic(request: &Request) -> bool {
    request.temperature == Some(0.0) && !request.has_thoughts()
}

/// What tells questions apart: who asks, and everything that is asked.
pub fn key(tenant: &str, function: &str, asked: &impl Serialize) -> Option<Key> {
    let mut hash = Sha256::new();
    // Lengths before texts: no two questions read the same.
    for part in [tenant, function] {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    hash.update(serde_json::to_vec(asked).ok()?);
    Some(hash.finalize().into())
}

impl<T: Answered> Cache<T> {
    /// An empty one; none if nothing is to be kept.
    pub fn new(settings: CacheSettings) -> Option<Self> {
        (settings.bytes > 0).then(|| Self {
            kept: Kept::builder()
                .max_capacity(settings.bytes)
                .weigher(|_, answer: &Arc<T>| {
                    let size = serde_json::to_vec(answer.as_ref()).map_or(0, |json| json.len());
                    u32::try_from(size + 64).unwrap_or(u32::MAX)
                })
                .time_to_live(Duration::from_secs(settings.seconds))
                .build(),
        })
    }

    /// The answer that is kept, or that of `ask`. Who asks the same meanwhile waits for it.
    pub async fn get(
        &self,
        key: Key,
        ask: impl Future<Output = Result<T, LlmError>>,
    ) -> Option<Result<T, LlmError>> {
        let is_mine = AtomicBool::new(false);
        let asked = async {
            is_mine.store(true, Ordering::Relaxed);
            match ask.await {
                Ok(answer) if answer.is_simulated() => Err(Not::Kept(Arc::new(answer))),
                Ok(answer) => Ok(Arc::new(answer)),
                Err(error) => Err(Not::Answered(error)),
            }
        };
        let got = self.kept.try_get_with(key, asked).await;
        let is_mine = is_mine.into_inner();
        measure::cache(!is_mine && got.is_ok());
        match got {
            Ok(answer) if is_mine => Some(Ok(T::clone(&answer))),
            Ok(answer) => Some(Ok(answer.again())),
            Err(not) if is_mine => Some(match not.as_ref() {
                Not::Kept(answer) => Ok(T::clone(answer)),
                Not::Answered(error) => Err(error.clone()),
            }),
            // What became of another's call is his: this one is asked for itself.
            Err(_) => None,
        }
    }
}

enum Not<T> {
    Kept(Arc<T>),
    Answered(LlmError),
}
