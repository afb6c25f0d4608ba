//! Spans of model calls, with the names that OpenTelemetry's GenAI conventions have for what is known
//! of them (opentelemetry.io/docs/specs/semconv/gen-ai): they still move, so they are here alone. A
//! call is a span, and each attempt at a provider is one in it.

use crate::fault::{Fault, Kind};
use crate::trace::Attempt;
use crate::{Caller, Finish, ModelClass, Request, Usage};
use tracing::Span;
use tracing::field::Empty;

/// Events with this target are for the host's own log, and go nowhere else.
const LOG_ONLY: &str = "mandate::models";

/// A call, with all that is tried for it.
pub fn call(class: ModelClass, caller: &Caller<'_>) -> Span {
    tracing::info_span!(
        "model call",
        "mandate.model_class" = class.as_str(),
        "mandate.tenant" = caller.tenant,
        "mandate.plugin" = caller.plugin,
        "mandate.execution" = caller.execution,
        "otel.status_code" = Empty,
    )
}

/// Nobody answered the call that this is in.
pub fn unanswered() {
    Span::current().record("otel.status_code", "ERROR");
}

/// An attempt at `model` of `provider`; `request` is what is asked, if it is not about vectors.
pub fn attempt(provider: &str, model: &str, request: Option<&Request>) -> Span {
    let operation = if request.is_some() {
        "chat"
    } else {
        "embeddings"
    };
    tracing::info_span!(
        "model",
        "otel.name" = format_args!("{operation} {model}"),
        "otel.kind" = "client",
        "otel.status_code" = Empty,
        "gen_ai.operation.name" = operation,
        "gen_ai.provider.name" = well_known(provider),
        "gen_ai.request.model" = model,
        "gen_ai.request.max_tokens" = request.map(|it| i64::from(it.max_output_tokens)),
        "gen_ai.request.temperature" = request.and_then(|it| it.temperature).map(f64::from),
        "gen_ai.response.id" = Empty,
        "gen_ai.response.finish_reasons" = Empty,
        "gen_ai.usage.input_tokens" = Empty,
        "gen_ai.usage.output_tokens" = Empty,
        "error.type" = Empty,
        "mandate.provider" = provider,
        "mandate.cost_micro_usd" = Empty,
    )
}

/// What the conventions call a provider; others have the name that they have here.
fn well_known(provider: &str) -> &str {
    match provider {
        "bedrock" => "aws.bedrock",
        "gemini" => "gcp.gemini",
        "grok" => "x_ai",
        "codestral" => "mistral_ai",
        other => other,
    }
}

/// What is known of an answer.
#[derive(Default)]
pub struct Known<'a> {
    /// Tokens, if it says.
    pub usage: Option<Usage>,
    /// Why it ended; none of vectors.
    pub finish: Option<Finish>,
    /// The provider's name for it.
    pub id: Option<&'a str>,
}

/// The attempt was answered.
pub fn answered(span: &Span, known: &Known<'_>) {
    if let Some(id) = known.id {
        span.record("gen_ai.response.id", id);
    }
    if let Some(finish) = known.finish {
        span.record("gen_ai.response.finish_reasons", reason(finish));
    }
    if let Some(usage) = known.usage {
        // Whole numbers are signed there.
        let count = |tokens: u64| i64::try_from(tokens).unwrap_or(i64::MAX);
        span.record("gen_ai.usage.input_tokens", count(usage.input_tokens));
        span.record("gen_ai.usage.output_tokens", count(usage.output_tokens));
    }
}

fn reason(finish: Finish) -> &'static str {
    match finish {
        Finish::Stop => "stop",
        Finish::ToolCalls => "tool_calls",
        Finish::Length => "length",
        Finish::Filtered => "content_filter",
    }
}

/// The attempt ended, well or not; after this it costs nothing more.
pub fn ended(span: &Span, attempt: &Attempt) {
    span.record("mandate.cost_micro_usd", attempt.cost.0);
    if attempt.reason.is_some() {
        span.record("error.type", attempt.outcome.as_str());
        span.record("otel.status_code", "ERROR");
    }
}

/// The answer did not have the form that was asked for.
pub fn unfit(span: &Span) {
    span.record("error.type", Kind::Unfit.as_str());
    span.record("otel.status_code", "ERROR");
}

/// Why the attempt of `span` was not answered, for whoever reads the log: what the provider says
/// may quote the prompt, and does not leave with the span.
pub fn failed(span: &Span, provider: &str, model: &str, fault: &Fault) {
    let _entered = span.enter();
    let kind = fault.kind.as_str();
    tracing::warn!(
        target: LOG_ONLY,
        provider,
        model,
        kind,
        reason = %fault,
        "a model provider does not answer"
    );
}

/// Nobody was asked there, in the span of the call.
pub fn passed_over(provider: &str, model: &str, reason: &str) {
    tracing::debug!(provider, model, reason, "a model provider is passed over");
}
