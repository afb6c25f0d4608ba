//! The generic form: the message as it is, and when it was sent, so that a signature cannot be used later.

use crate::Message;
use mandate_sdk::Timestamp;
use serde::Serialize;

/// What a receiver gets.
#[derive(Serialize)]
pub struct Body<'a> {
    event: &'static str,
    /// Microseconds since 1970, of this try.
    sent_at_micros: Timestamp,
    #[serde(flatten)]
    message: &'a Message,
}

/// The body for `message`.
pub fn body(message: &Message, now: Timestamp) -> Body<'_> {
    Body {
        event: "decision_requested",
        sent_at_micros: now,
        message,
    }
}
