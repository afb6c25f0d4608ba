//! Bodies with telemetry: of the right type, inflated within bounds, and no more of them at a time
//! than memory allows.

use crate::api::Api;
use crate::api::auth::Client;
use crate::api::error::{ApiError, ApiResult, blocking};
use crate::api::input::{Params, body, content_type};
use crate::telemetry::TelemetryConfig;
use crate::telemetry::otlp::Histograms;
use axum::body::Bytes;
use axum::extract::Request;
use axum::http::header::{CONTENT_ENCODING, CONTENT_LENGTH};
use axum::http::{HeaderMap, StatusCode};
use flate2::read::MultiGzDecoder;
use mandate_store::SharedSeries;
use mandate_types::{Problem, TenantId};
use std::io::Read as _;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Media types of lines of JSON.
const LINES: &[&str] = &[
    "application/x-ndjson",
    "application/ndjson",
    "application/jsonl",
    "application/json",
];
/// How long a body waits until others are done.
const PATIENCE: Duration = Duration::from_secs(5);
/// How much larger than it came a body is expected to be once inflated.
const USUAL_RATIO: usize = 16;
/// What is counted.
const UNIT: usize = 1 << 10;

/// Where telemetry comes in.
pub struct Intake {
    /// Where it is kept.
    pub series: SharedSeries,
    /// What the operator set.
    pub config: TelemetryConfig,
    /// What cumulative histograms held last.
    pub histograms: Arc<Histograms>,
    room: Arc<Semaphore>,
}

/// A body, and the room that it takes until it is dropped.
pub struct Taken {
    /// As it was before it was compressed.
    pub bytes: Bytes,
    _room: Vec<OwnedSemaphorePermit>,
}

/// What a client sent as lines of JSON, and the room that it takes until it is dropped.
pub struct Lines<T> {
    /// For whom.
    pub tenant: TenantId,
    /// What the lines say.
    pub items: T,
    /// Held until the items are stored.
    pub taken: Taken,
}

impl Intake {
    /// Over this store.
    pub fn new(series: SharedSeries, config: TelemetryConfig) -> Self {
        // The largest body must fit when there is no other.
        let largest = config.inflated_limit.saturating_add(config.body_limit);
        let most = config.work_limit.max(largest).div_ceil(UNIT);
        let room = Arc::new(Semaphore::new(most.clamp(1, Semaphore::MAX_PERMITS)));
        Self {
            series,
            config,
            histograms: Arc::default(),
            room,
        }
    }

    async fn room(&self, bytes: usize) -> ApiResult<OwnedSemaphorePermit> {
        let units = u32::try_from(bytes.div_ceil(UNIT)).unwrap_or(u32::MAX);
        let waiting = self.room.clone().acquire_many_owned(units);
        match tokio::time::timeout(PATIENCE, waiting).await {
            Ok(Ok(room)) => Ok(room),
            _ => Err(ApiError::overloaded(
                "this host is busy with other telemetry",
                Duration::from_secs(1),
            )),
        }
    }

    /// Reads the lines of a request, all of them or none.
    ///
    /// # Errors
    /// As [`Intake::take`]; 422 for a bad line, which is named.
    pub async fn lines<T: Send + 'static>(
        &self,
        api: &Api,
        client: &Client,
        mut params: Params,
        request: Request,
        read: fn(&[u8]) -> Result<T, Problem>,
    ) -> ApiResult<Lines<T>> {
        let tenant = client.tenant(params.parsed("tenant")?)?;
        params.finish()?;
        let taken = self.take(api, request, LINES).await?;
        let (items, taken) = blocking(move || Ok((read(&taken.bytes)?, taken))).await?;
        Ok(Lines {
            tenant,
            items,
            taken,
        })
    }

    /// Reads the body of a request, which must be of one of these media types; of the first if it
    /// does not say.
    ///
    /// # Errors
    /// 400, 408, 413, 415, or 503 when there is too much at a time.
    pub async fn take(&self, api: &Api, request: Request, kinds: &[&str]) -> ApiResult<Taken> {
        let first = kinds.first().copied().unwrap_or_default();
        let kind = content_type(request.headers()).unwrap_or_else(|| first.to_owned());
        if !kinds.contains(&kind.as_str()) {
            return Err(ApiError::media_type(&kind, first));
        }
        let gzip = is_gzip(request.headers())?;
        let limit = self.config.body_limit;
        let declared = request.headers().get(CONTENT_LENGTH);
        let declared = declared.and_then(|length| length.to_str().ok()?.parse().ok());
        let length = declared.unwrap_or(limit);
        if length > limit {
            return Err(ApiError::too_large(limit));
        }
        let most = self.config.inflated_limit;
        let expected = if gzip {
            length.saturating_add(most.min(length.saturating_mul(USUAL_RATIO)))
        } else {
            length
        };
        let mut room = vec![self.room(expected).await?];
        let bytes = body(request, api, limit, api.settings.body_seconds).await?;
        if !gzip {
            return Ok(Taken { bytes, _room: room });
        }
        let inflated = tokio::task::spawn_blocking(move || inflate(&bytes, most)).await;
        let inflated = inflated.map_err(|error| {
            tracing::error!(%error, "inflating a body panicked");
            Problem::internal("a mistake of ours; it is in the host's log")
        })??;
        if inflated.len() > expected {
            room.push(self.room(inflated.len() - expected).await?);
        }
        Ok(Taken {
            bytes: inflated.into(),
            _room: room,
        })
    }
}

fn is_gzip(headers: &HeaderMap) -> Result<bool, Problem> {
    let Some(encoding) = headers.get(CONTENT_ENCODING) else {
        return Ok(false);
    };
    match encoding.to_str().unwrap_or("?").trim() {
        "" | "identity" => Ok(false),
        found if found.eq_ignore_ascii_case("gzip") => Ok(true),
        found => {
            let found: String = found.chars().take(40).collect();
            Err(Problem::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE.as_u16(),
                "media-type",
                "The body has another encoding",
                format!("the body is encoded as `{found}`; send it as gzip, or as it is"),
            ))
        }
    }
}

/// Inflates gzip, up to `most` bytes: a few kilobytes can hold gigabytes.
fn inflate(bytes: &[u8], most: usize) -> Result<Vec<u8>, ApiError> {
    let mut inflated = Vec::new();
    let limit = u64::try_from(most).unwrap_or(u64::MAX).saturating_add(1);
    MultiGzDecoder::new(bytes)
        .take(limit)
        .read_to_end(&mut inflated)
        .map_err(|error| {
            Problem::new(
                400,
                "bad-body",
                "The body cannot be read",
                format!("the body is said to be gzip, and is not: {error}"),
            )
        })?;
    if inflated.len() > most {
        return Err(ApiError::too_large(most));
    }
    Ok(inflated)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn what_inflates_beyond_the_limit_is_refused() {
        let bomb = gzip(&vec![0; 1 << 20]);
        assert!(bomb.len() < 10_000);
        assert_eq!(inflate(&bomb, 1 << 20).unwrap().len(), 1 << 20);
        assert_eq!(
            inflate(&bomb, (1 << 20) - 1).unwrap_err().problem.status,
            413
        );
        assert_eq!(inflate(b"no gzip", 100).unwrap_err().problem.status, 400);
        assert_eq!(
            inflate(&bomb[..100], 1 << 20).unwrap_err().problem.status,
            400
        );
    }
}
