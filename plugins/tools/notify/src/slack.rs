//! Slack's form: the sentence, what has to be known at a glance, and a button that leads to the page. A message decides
//! nothing: what is opened in Slack, by people or by programs that look at links, only shows.

use crate::Message;
use mandate_sdk::Error;
use mandate_sdk::http::Response;
use mandate_sdk::serde_json::{Value, json};

/// What Slack takes as one text is 3,000 characters; a little less, for the mark of what was left out.
const MOST: usize = 2_900;
/// Millionths of a US dollar in a cent.
const CENT: i64 = 10_000;

/// The body for `message`, in the conversation `to` if that is not the address's own.
pub fn body(message: &Message, to: Option<&str>) -> Value {
    let title = if message.reminder {
        "A decision still waits for an answer"
    } else {
        "A decision waits for an answer"
    };
    let sentence = escaped(&message.sentence);
    // Plain texts only: nothing of what an agent said is a link, a mention or struck out.
    let plain = |text: &str| json!({"type": "plain_text", "text": text, "emoji": false});
    let mut body = json!({
        "text": format!("{title}: {sentence} {}", escaped(&message.link)),
        "mrkdwn": false,
        "unfurl_links": false,
        "unfurl_media": false,
        "blocks": [
            {"type": "header", "text": plain(title)},
            {"type": "section", "text": plain(&sentence)},
            {"type": "context", "elements": [plain(&escaped(&glance(message)))]},
            {"type": "actions", "elements": [{
                "type": "button",
                "style": "primary",
                "text": plain("Look and answer"),
                "url": message.link,
            }]},
        ],
    });
    if let (Some(to), Some(fields)) = (to, body.as_object_mut()) {
        fields.insert("channel".to_owned(), to.into());
    }
    body
}

/// What it costs, for whom, and until when.
fn glance(message: &Message) -> String {
    let cost = message
        .cost_micro_usd
        .map_or("Cost unknown".to_owned(), dollars);
    let mut parts = vec![cost, format!("tenant {}", message.tenant)];
    if let Some(end) = &message.expires_at {
        let minute = end.get(..16).filter(|_| end.ends_with('Z'));
        let end = minute.map_or(end.clone(), |minute| {
            format!("{} UTC", minute.replace('T', " "))
        });
        parts.push(format!("denied by itself at {end}"));
    }
    parts.push(message.decision.clone());
    parts.join(" · ")
}

/// `$1999.99`, rounded up to the cent.
fn dollars(micro_usd: i64) -> String {
    let cents = micro_usd.div_euclid(CENT) + i64::from(micro_usd.rem_euclid(CENT) > 0);
    format!("${}.{:02}", cents / 100, (cents % 100).abs())
}

/// As Slack takes texts: its three control characters as entities, cut where a text would be too long.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for (count, character) in text.chars().enumerate() {
        // Entities have at most five characters.
        if count >= MOST || escaped.chars().count() > MOST - 5 {
            escaped.push('…');
            break;
        }
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            other => escaped.push(other),
        }
    }
    escaped
}

/// Slack's methods answer 200 and say in the body that they failed.
///
/// # Errors
/// [`Error::Failed`] with Slack's reason.
pub fn took(answer: Response) -> Result<Response, Error> {
    // Incoming webhooks answer `ok`, which is no JSON.
    let said = answer.json::<Value>().unwrap_or_default();
    if said.get("ok").and_then(Value::as_bool) == Some(false) {
        let reason = said
            .get("error")
            .and_then(Value::as_str)
            .unwrap_or("no reason");
        return Err(Error::Failed {
            message: format!("Slack did not take it: {reason}"),
            retryable: matches!(
                reason,
                "ratelimited" | "rate_limited" | "internal_error" | "fatal_error"
            ),
        });
    }
    Ok(answer)
}
