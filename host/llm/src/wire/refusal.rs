//! What a provider means by a status and a body that are no answer.

use super::{limited, openai};
use crate::fault::{Fault, Kind};
use crate::pause;
use serde_json::Value;
use std::time::Duration;

/// Codes of refusals that say that the money is gone, not the time. For Qwen the first is a limit
/// of tokens in a minute; it is then left alone for too long, which costs nobody anything.
const SPENT: [&str; 13] = [
    "insufficient_quota",
    "billing_error",
    "billing_hard_limit_reached",
    "billing_not_active",
    "blocked_api_access",
    "credit_balance_exhausted",
    "spend_limit",
    "enforced_spend_limit_reached",
    "usage_limit_exceeded",
    "insufficient_balance",
    "exceeded_current_quota",
    "arrearage",
    // GLM's.
    "1113",
];
/// Words of such refusals that have no code.
const SPENT_WORDS: [&str; 8] = [
    "credit balance",
    "insufficient balance",
    "insufficient credit",
    "available credits",
    "any credits",
    "spending limit",
    "api usage limits",
    "current quota",
];
/// How such refusals begin that come as a mistake of the caller: Anthropic's.
const SPENT_SENTENCES: [&str; 2] = [
    "your credit balance is too low",
    "you have reached your specified",
];
/// What says that the request was too long for the model.
const TOO_LONG: [&str; 5] = [
    "context_length_exceeded",
    "context length",
    "context window",
    "prompt is too long",
    "maximum context",
];

/// The fault that an HTTP status other than 2xx stands for.
pub fn refusal(status: u16, body: &[u8], retry_after: Option<Duration>) -> Fault {
    let parsed: Value = serde_json::from_slice(body).unwrap_or(Value::Null);
    let (mut message, codes) = openai::refusal(&parsed);
    if message.is_empty() {
        message = limited(&String::from_utf8_lossy(body));
    }
    let (said, codes) = (message.to_lowercase(), codes.to_lowercase());
    let has = |words: &[&str], text: &str| words.iter().any(|word| text.contains(word));
    // A 400 may quote what the request said: there only its own sentences count.
    let in_words = match status {
        400 => SPENT_SENTENCES.iter().any(|begin| said.starts_with(begin)),
        _ => has(&SPENT_WORDS, &said),
    };
    let spent = has(&SPENT, &codes) || in_words;
    let too_long = has(&TOO_LONG, &codes) || has(&TOO_LONG, &said);
    let kind = match status {
        402 => Kind::Spent,
        429 | 400 | 403 if spent => Kind::Spent,
        // A page, and no answer of the provider's own: whatever stands in front of it.
        403 if parsed.is_null() => Kind::Busy,
        401 | 403 => Kind::Key,
        404 => Kind::Model,
        400 | 422 if codes.contains("model_not_found") => Kind::Model,
        413 => Kind::TooLong,
        400 | 422 if too_long => Kind::TooLong,
        408 | 409 | 425 | 429 => Kind::Busy,
        400..=499 => Kind::Request,
        500..=599 => Kind::Busy,
        _ => Kind::Garbled,
    };
    Fault {
        retry_after: retry_after.or_else(|| pause::in_body(&parsed)),
        ..Fault::new(kind, format!("status {status}: {message}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(status: u16, body: &str) -> Kind {
        refusal(status, body.as_bytes(), None).kind
    }

    #[test]
    fn each_refusal_is_taken_for_what_it_is() {
        let quota = r#"{"error":{"message":"You exceeded your current quota","type":"insufficient_quota","code":"insufficient_quota"}}"#;
        let credit = r#"{"type":"error","error":{"type":"invalid_request_error","message":"Your credit balance is too low to access the API"}}"#;
        let long = r#"{"error":{"message":"This model's maximum context length is 8192 tokens","code":"context_length_exceeded"}}"#;
        let quoted = r#"{"error":{"message":"Invalid schema: 'spending limit' is no type"}}"#;
        for (status, body, expected) in [
            (400, quoted, Kind::Request),
            (403, "<html>blocked</html>", Kind::Busy),
            (403, "{}", Kind::Key),
            (400, r#"{"error":{"message":"bad"}}"#, Kind::Request),
            (400, long, Kind::TooLong),
            (
                400,
                r#"{"error":{"message":"x","code":"context_length_exceeded"}}"#,
                Kind::TooLong,
            ),
            (
                422,
                r#"{"error":{"message":"prompt is too long: 9 tokens"}}"#,
                Kind::TooLong,
            ),
            (400, credit, Kind::Spent),
            (401, "{}", Kind::Key),
            (402, "{}", Kind::Spent),
            (404, r#"{"error":"model not found"}"#, Kind::Model),
            (408, "", Kind::Busy),
            (413, "", Kind::TooLong),
            (422, r#"{"message":"temperature"}"#, Kind::Request),
            (429, r#"{"error":{"message":"slow down"}}"#, Kind::Busy),
            (429, quota, Kind::Spent),
            (
                429,
                r#"{"error":{"type":"rate_limit_error","message":"x","details":{"error_code":"enforced_spend_limit_reached"}}}"#,
                Kind::Spent,
            ),
            (
                403,
                r#"{"code":"x","error":"Your team has used all available credits"}"#,
                Kind::Spent,
            ),
            (
                400,
                r#"{"error":{"message":"x","code":"blocked_api_access"}}"#,
                Kind::Spent,
            ),
            (500, "", Kind::Busy),
            (503, "", Kind::Busy),
            (529, r#"{"error":{"type":"overloaded_error"}}"#, Kind::Busy),
            (302, "", Kind::Garbled),
        ] {
            assert_eq!(kind(status, body), expected, "{status} {body}");
        }
    }

    #[test]
    fn what_was_said_is_told_on_one_line() {
        let fault = refusal(500, b"{\"error\":{\"message\":\"a\\nb\"}}", None);
        assert_eq!(fault.reason, "status 500: a b");
        let long = refusal(500, "x".repeat(9_000).as_bytes(), None);
        assert!(long.reason.len() < 400);
    }
}
