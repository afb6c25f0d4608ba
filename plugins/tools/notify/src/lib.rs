//! Tells people that a decision waits for them. The host calls it for each message of its outbox, again under the same
//! key until it succeeded; where a channel leads, and with which secrets, the operator says in the settings.

#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing
    )
)]

mod slack;
mod webhook;

use mandate_sdk::http::{Request, Response};
use mandate_sdk::prelude::*;
use std::collections::BTreeMap;
use std::time::Duration;

/// Longer than receivers take, and shorter than the tool may.
const PATIENCE: Duration = Duration::from_secs(20);

/// What is told, as the host says it.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct Message {
    /// Through which channel of the settings.
    #[schemars(length(min = 1, max = 200))]
    pub channel: String,
    /// The same for the same message: whoever sees it twice was told once.
    #[schemars(length(min = 1, max = 200), regex(pattern = "^[!-~]+$"))]
    pub key: String,
    /// The id of the decision.
    #[schemars(length(min = 1, max = 200))]
    pub decision: String,
    /// What is wanted, on what, at what cost, how it is undone, and what happens if nobody answers.
    pub sentence: String,
    /// The page on which it is answered.
    #[schemars(length(max = 2_000), regex(pattern = "^https?://"))]
    pub link: String,
    /// For whom it would be done.
    pub tenant: String,
    /// What it would cost, in millionths of a US dollar; none when nobody knows.
    pub cost_micro_usd: Option<i64>,
    /// When it is denied by itself, as RFC 3339.
    pub expires_at: Option<String>,
    /// Whether somebody was told before.
    pub reminder: bool,
}

/// What came of it.
#[derive(Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Sent {
    /// Through which channel.
    pub channel: String,
    /// What the receiver answered, as an HTTP status.
    pub status: u16,
}

/// `[settings]`
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Channels {
    channels: BTreeMap<String, Channel>,
}

/// Where a channel leads.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Channel {
    form: Form,
    url: String,
    token: Option<String>,
    key: Option<String>,
    to: Option<String>,
}

/// How a receiver takes messages.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Form {
    Webhook,
    Slack,
}

impl Channel {
    fn request(&self, message: &Message, now: Timestamp) -> Result<Request, Error> {
        let mut request = Request::post(&self.url)
            .timeout(PATIENCE)
            .header("idempotency-key", &message.key);
        if let Some(token) = &self.token {
            let bearer = format!("Bearer {{{{secret:{token}}}}}");
            request = request.header("authorization", &bearer);
        }
        if let Some(key) = &self.key {
            let signature = format!("sha256={{{{hmac-sha256:{key}}}}}");
            request = request.header("x-mandate-signature", &signature);
        }
        match self.form {
            Form::Webhook => request.json(&webhook::body(message, now)),
            Form::Slack => request.json(&slack::body(message, self.to.as_deref())),
        }
    }

    fn took(&self, answer: Response) -> Result<Response, Error> {
        let answer = answer.successful()?;
        match self.form {
            Form::Webhook => Ok(answer),
            Form::Slack => slack::took(answer),
        }
    }
}

/// Tells people.
pub struct Send;

impl Tool for Send {
    const NAME: &'static str = "send";
    const SUMMARY: &'static str = "Tells people through a channel that a decision waits for them.";
    type Arguments = Message;
    type Result = Sent;

    fn call(message: Message, context: &Context, host: &Host) -> Result<Sent, Error> {
        let Channels { channels } = context.settings()?;
        let channel = channels
            .get(&message.channel)
            .ok_or_else(|| unknown(&message.channel, &channels))?;
        let request = channel.request(&message, host.now())?;
        let answer = channel.took(host.http().send(&request)?)?;
        Ok(Sent {
            channel: message.channel,
            status: answer.status,
        })
    }
}

fn unknown(name: &str, channels: &BTreeMap<String, Channel>) -> Error {
    let known: Vec<&str> = channels.keys().map(String::as_str).collect();
    let known = if known.is_empty() {
        "there are none yet".to_owned()
    } else {
        format!("there are {}", known.join(", "))
    };
    Error::invalid(format!(
        "channel: `{name}` is not among the settings' `channels`; {known}"
    ))
}

mandate_sdk::tools!(Send);

#[cfg(test)]
mod tests;
