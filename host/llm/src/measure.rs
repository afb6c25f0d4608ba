//! What is counted of model calls, for whoever scrapes the host.

use crate::Usage;
use crate::trace::Attempt;
use metrics::{counter, histogram};
use std::collections::BTreeMap;
use std::time::Duration;

/// Counts an attempt that ended.
pub fn attempt(attempt: &Attempt, took: Duration) {
    let provider = attempt.provider.clone();
    let model = attempt.model.clone();
    let outcome = attempt.outcome.clone();
    counter!("mandate_llm_attempts_total", "provider" => provider.clone(), "model" => model.clone(), "outcome" => outcome)
        .increment(1);
    histogram!("mandate_llm_attempt_seconds", "provider" => provider.clone(), "model" => model.clone())
        .record(took.as_secs_f64());
    let cost = u64::try_from(attempt.cost.0).unwrap_or(0);
    counter!("mandate_llm_cost_micro_usd_total", "provider" => provider, "model" => model)
        .increment(cost);
}

/// Counts the tokens of an answer.
pub fn tokens(provider: &str, model: &str, usage: &Usage) {
    let kinds = [
        ("input", usage.input_tokens),
        ("cached", usage.cached_tokens),
        ("cache_write", usage.cache_write_tokens),
        ("output", usage.output_tokens),
        ("reasoning", usage.reasoning_tokens),
    ];
    for (kind, count) in kinds.into_iter().filter(|(_, count)| *count > 0) {
        counter!("mandate_llm_tokens_total", "provider" => provider.to_owned(), "model" => model.to_owned(), "kind" => kind)
            .increment(count);
    }
}

/// Counts a request whose answer might be kept: whether it was.
pub fn cache(hit: bool) {
    let result = if hit { "hit" } else { "miss" };
    counter!("mandate_llm_cache_total", "result" => result).increment(1);
}

/// Counts what was taken out of a prompt, and never says what it was.
pub fn redacted(counts: &BTreeMap<&'static str, u64>) {
    for (kind, count) in counts {
        counter!("mandate_llm_redacted_total", "kind" => *kind).increment(*count);
    }
}
