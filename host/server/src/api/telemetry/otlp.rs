//! `/v1/metrics`, `/v1/logs`, `/v1/traces`: what exporters of OpenTelemetry send over HTTP, answered
//! as their protocol wants it, refusals too.

use super::intake::Taken;
use crate::api::Api;
use crate::api::auth::Client;
use crate::api::error::{ApiError, ApiResult, OwnBody, blocking};
use crate::api::input::{Params, content_type};
use crate::telemetry::otlp::{self, Histograms, Kind, LeftOut};
use axum::body::Body;
use axum::extract::{FromRequestParts, Request, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, HeaderValue, Response, StatusCode};
use axum::response::IntoResponse as _;
use mandate_store::series::Excess;
use mandate_types::{Problem, TenantId};
use opentelemetry_proto::tonic::collector::logs::v1::{
    ExportLogsPartialSuccess, ExportLogsServiceRequest, ExportLogsServiceResponse,
};
use opentelemetry_proto::tonic::collector::metrics::v1::{
    ExportMetricsPartialSuccess, ExportMetricsServiceRequest, ExportMetricsServiceResponse,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use prost::Message;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::sync::Arc;

const PROTOBUF: &str = "application/x-protobuf";
const JSON: &str = "application/json";

/// How a request is written, and its answer.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Protobuf,
    Json,
}

impl Form {
    fn of(headers: &HeaderMap) -> Self {
        match content_type(headers).as_deref() {
            Some(JSON) => Self::Json,
            _ => Self::Protobuf,
        }
    }

    fn answer<T: Message + Serialize>(self, status: StatusCode, body: &T) -> Response<Body> {
        let (kind, bytes) = match self {
            Self::Protobuf => (PROTOBUF, body.encode_to_vec()),
            Self::Json => (JSON, serde_json::to_vec(body).unwrap_or_default()),
        };
        let mut response = Response::new(Body::from(bytes));
        *response.status_mut() = status;
        response
            .headers_mut()
            .insert(CONTENT_TYPE, HeaderValue::from_static(kind));
        response.extensions_mut().insert(OwnBody);
        response
    }

    /// A refusal as `google.rpc.Status`.
    fn refusal(self, error: ApiError) -> Response<Body> {
        let status = match error.problem.status {
            // The protocol's word for what must not be sent again.
            422 => 400,
            // A full disk may have room later; senders try again on this one only.
            507 => 503,
            status => status,
        };
        let body = Status {
            code: match status {
                400 | 408 | 413 | 415 => 3,
                401 => 16,
                403 => 7,
                404 => 5,
                429 => 8,
                503 => 14,
                _ => 13,
            },
            message: error.problem.detail.clone(),
        };
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let own = self.answer(status, &body);
        // The headers of the refusal stay: when to try again, how to sign in.
        let mut response = error.into_response();
        response.headers_mut().extend(own.headers().clone());
        let (parts, body) = own.into_parts();
        *response.status_mut() = parts.status;
        response.extensions_mut().extend(parts.extensions);
        *response.body_mut() = body;
        response
    }
}

/// `google.rpc.Status`
#[derive(Clone, PartialEq, Message, Serialize)]
struct Status {
    #[prost(int32, tag = "1")]
    code: i32,
    #[prost(string, tag = "2")]
    message: String,
}

/// Who sends, for whom, and what.
struct Sent<T> {
    tenant: TenantId,
    message: T,
    taken: Taken,
}

async fn read<T>(api: &Api, kind: Kind, request: Request) -> ApiResult<Sent<T>>
where
    T: Message + Default + DeserializeOwned + 'static,
{
    let form = Form::of(request.headers());
    let (mut parts, body) = request.into_parts();
    let client = Client::from_request_parts(&mut parts, api).await?;
    let mut params = Params::from_request_parts(&mut parts, api).await?;
    let tenant = client.tenant(params.parsed("tenant")?)?;
    params.finish()?;
    let request = Request::from_parts(parts, body);
    let taken = api.intake.take(api, request, &[PROTOBUF, JSON]).await?;
    blocking(move || {
        let bytes = &taken.bytes;
        if let Some(most) = otlp::too_many(kind, bytes, form == Form::Json) {
            let detail = format!("the request holds more than {most} messages: send it in parts");
            return Err(Problem::invalid(detail).into());
        }
        let malformed = |error: &dyn std::fmt::Display| {
            Problem::new(
                400,
                "bad-body",
                "The body cannot be read",
                error.to_string(),
            )
        };
        let message = match form {
            Form::Protobuf => T::decode(bytes.clone()).map_err(|error| malformed(&error))?,
            Form::Json => serde_json::from_slice(bytes).map_err(|error| malformed(&error))?,
        };
        Ok(Sent {
            tenant,
            message,
            taken,
        })
    })
    .await
}

async fn take_metrics(api: &Api, request: Request) -> ApiResult<LeftOut> {
    let sent: Sent<ExportMetricsServiceRequest> = read(api, Kind::Metrics, request).await?;
    let histograms: Arc<Histograms> = api.intake.histograms.clone();
    let (sent, batch, left_out) = blocking(move || {
        let (batch, left_out) = otlp::points(&sent.tenant, &sent.message, &histograms);
        Ok((sent, batch, left_out))
    })
    .await?;
    let series = &api.intake.series;
    let added = series
        .add_points(&sent.tenant, batch, Excess::LeaveOut)
        .await?;
    drop(sent.taken);
    Ok(left_out.and(added))
}

async fn take_logs(api: &Api, request: Request) -> ApiResult<LeftOut> {
    let sent: Sent<ExportLogsServiceRequest> = read(api, Kind::Logs, request).await?;
    let (sent, lines, left_out) = blocking(move || {
        let (lines, left_out) = otlp::lines(&sent.message);
        Ok((sent, lines, left_out))
    })
    .await?;
    let series = &api.intake.series;
    let added = series
        .add_logs(&sent.tenant, lines, Excess::LeaveOut)
        .await?;
    drop(sent.taken);
    Ok(left_out.and(added))
}

async fn take_traces(api: &Api, request: Request) -> ApiResult<LeftOut> {
    let sent: Sent<ExportTraceServiceRequest> = read(api, Kind::Traces, request).await?;
    let (sent, spans, left_out) = blocking(move || {
        let (spans, left_out) = otlp::spans(&sent.message);
        Ok((sent, spans, left_out))
    })
    .await?;
    let series = &api.intake.series;
    let added = series
        .add_spans(&sent.tenant, spans, Excess::LeaveOut)
        .await?;
    drop(sent.taken);
    Ok(left_out.and(added))
}

/// Takes metrics as exporters of OpenTelemetry send them (OTLP over HTTP), in protobuf or JSON, as
/// they are or in gzip. What cannot be kept is left out and counted in the answer.
#[utoipa::path(
    post, path = "/v1/metrics", tag = "otlp",
    params(("tenant" = Option<String>, Query, description = "For whom; the caller's only one, or `default`")),
    request_body(description = "`ExportMetricsServiceRequest`", content((Vec<u8> = "application/x-protobuf"), (Object = "application/json"))),
    responses(
        (status = 200, description = "`ExportMetricsServiceResponse`, in the request's form"),
        (status = "default", description = "`google.rpc.Status`, in the request's form"),
    ),
)]
pub async fn metrics(State(api): State<Api>, request: Request) -> Response<Body> {
    let form = Form::of(request.headers());
    match take_metrics(&api, request).await {
        Ok(left_out) => {
            let partial_success = left_out
                .told()
                .map(
                    |(rejected_data_points, error_message)| ExportMetricsPartialSuccess {
                        rejected_data_points,
                        error_message,
                    },
                );
            form.answer(
                StatusCode::OK,
                &ExportMetricsServiceResponse { partial_success },
            )
        }
        Err(error) => form.refusal(error),
    }
}

/// Takes log records as exporters of OpenTelemetry send them.
#[utoipa::path(
    post, path = "/v1/logs", tag = "otlp",
    params(("tenant" = Option<String>, Query, description = "For whom; the caller's only one, or `default`")),
    request_body(description = "`ExportLogsServiceRequest`", content((Vec<u8> = "application/x-protobuf"), (Object = "application/json"))),
    responses(
        (status = 200, description = "`ExportLogsServiceResponse`, in the request's form"),
        (status = "default", description = "`google.rpc.Status`, in the request's form"),
    ),
)]
pub async fn logs(State(api): State<Api>, request: Request) -> Response<Body> {
    let form = Form::of(request.headers());
    match take_logs(&api, request).await {
        Ok(left_out) => {
            let partial_success = left_out
                .told()
                .map(
                    |(rejected_log_records, error_message)| ExportLogsPartialSuccess {
                        rejected_log_records,
                        error_message,
                    },
                );
            form.answer(
                StatusCode::OK,
                &ExportLogsServiceResponse { partial_success },
            )
        }
        Err(error) => form.refusal(error),
    }
}

/// Takes spans as exporters of OpenTelemetry send them.
#[utoipa::path(
    post, path = "/v1/traces", tag = "otlp",
    params(("tenant" = Option<String>, Query, description = "For whom; the caller's only one, or `default`")),
    request_body(description = "`ExportTraceServiceRequest`", content((Vec<u8> = "application/x-protobuf"), (Object = "application/json"))),
    responses(
        (status = 200, description = "`ExportTraceServiceResponse`, in the request's form"),
        (status = "default", description = "`google.rpc.Status`, in the request's form"),
    ),
)]
pub async fn traces(State(api): State<Api>, request: Request) -> Response<Body> {
    let form = Form::of(request.headers());
    match take_traces(&api, request).await {
        Ok(left_out) => {
            let partial_success =
                left_out.told().map(
                    |(rejected_spans, error_message)| ExportTracePartialSuccess {
                        rejected_spans,
                        error_message,
                    },
                );
            form.answer(
                StatusCode::OK,
                &ExportTraceServiceResponse { partial_success },
            )
        }
        Err(error) => form.refusal(error),
    }
}
