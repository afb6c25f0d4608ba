//! Topics of SNS that want to deliver here. Confirming means following an address, which a person does: the address
//! comes from whoever sends, so it is recorded, and never fetched.

use crate::alert::short_digest;
use crate::intake::Taken;
use crate::notification::{cut, url};
use crate::readable::{Readable, whole};
use incident_contract::Time;
use mandate_sdk::prelude::*;
use serde_json::{Map, Value};

/// The collection.
pub const COLLECTION: &str = "alert_subscriptions";

/// Where a subscription stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SubscriptionStatus {
    /// Somebody has to open `confirm_url`.
    Unconfirmed,
    /// The topic delivers.
    Confirmed,
    /// The topic does not deliver any more.
    Ended,
}

/// A topic that wants to deliver, or does.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Subscription {
    /// The topic's ARN.
    #[schemars(length(max = 300))]
    pub topic: String,
    /// Where it stands.
    pub status: SubscriptionStatus,
    /// What a person opens to confirm it, or to confirm it again.
    #[schemars(length(max = 2000))]
    pub confirm_url: String,
    /// When it asked.
    pub asked_at: Time,
}

fn id_of(topic: &str) -> String {
    format!("SUB-{}", short_digest(&[topic]))
}

/// Keeps what a topic asks, and says what to do.
///
/// # Errors
/// [`Error::Invalid`] when the address is not one of Amazon's; what the host says.
pub fn record(host: &Host, kind: &str, envelope: &Map<String, Value>) -> Result<Taken, Error> {
    let text = |key: &str| {
        envelope
            .get(key)
            .and_then(Value::as_str)
            .unwrap_or_default()
    };
    let topic = cut(text("TopicArn"), 300);
    if !topic.starts_with("arn:") {
        return Err(Error::invalid(
            "/TopicArn: expected the ARN of an SNS topic",
        ));
    }
    // A person is going to open it.
    let confirm_url = url(text("SubscribeURL"))
        .filter(|url| is_of_sns(url))
        .ok_or_else(|| {
            Error::invalid("/SubscribeURL: expected an address https://sns.REGION.amazonaws.com/…; it is not kept")
        })?;
    let ended = kind == "UnsubscribeConfirmation";
    let subscription = Subscription {
        status: if ended {
            SubscriptionStatus::Ended
        } else {
            SubscriptionStatus::Unconfirmed
        },
        confirm_url,
        asked_at: incident_contract::time(host.now()),
        topic,
    };
    let id = id_of(&subscription.topic);
    let subscriptions = host.records::<Subscription>(COLLECTION);
    match subscriptions.create_as(&id, &subscription) {
        Err(Error::Conflict(_)) => {
            subscriptions.change(&id, |present| present.clone_from(&subscription))?;
        }
        made => {
            made?;
        }
    }
    let (topic, address) = (&subscription.topic, &subscription.confirm_url);
    let mut taken = Taken::default();
    taken.note(if ended {
        format!("{topic} does not deliver here any more. If that was a mistake, open {address} to subscribe it again.")
    } else {
        format!(
            "{topic} wants to deliver here. If that is right, open {address} within three days; nothing is fetched \
             from here. It is kept as {COLLECTION}/{id}."
        )
    });
    Ok(taken)
}

/// A topic delivered, so it is confirmed.
///
/// # Errors
/// What the host says.
pub fn heard(host: &Host, topic: &str, taken: &mut Taken) -> Result<(), Error> {
    let id = id_of(&cut(topic, 300));
    let known = host.records::<Readable<Subscription>>(COLLECTION).get(&id);
    let subscriptions = host.records::<Subscription>(COLLECTION);
    match known.map(whole) {
        Ok(Some(record)) if record.body.status != SubscriptionStatus::Confirmed => {
            let confirm = |present: &mut Subscription| {
                present.status = SubscriptionStatus::Confirmed;
            };
            match subscriptions.change(&id, confirm) {
                Err(Error::Conflict(_) | Error::NotFound(_)) => Ok(()),
                changed => {
                    taken.note(format!(
                        "{COLLECTION}/{id} is confirmed: its topic delivers."
                    ));
                    changed.map(|_| ())
                }
            }
        }
        Ok(_) | Err(Error::NotFound(_)) => Ok(()),
        Err(error) => Err(error),
    }
}

/// Whether it leads to SNS itself.
fn is_of_sns(url: &str) -> bool {
    let host = url.strip_prefix("https://").map(|rest| {
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        rest.get(..end).unwrap_or_default()
    });
    host.is_some_and(|host| {
        let plain = host
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '.');
        let amazon = host.ends_with(".amazonaws.com") || host.ends_with(".amazonaws.com.cn");
        plain && amazon && host.starts_with("sns.")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addresses_of_sns_are_shown_to_people() {
        assert!(is_of_sns(
            "https://sns.eu-west-1.amazonaws.com/?Action=ConfirmSubscription&Token=1"
        ));
        for wrong in [
            "http://sns.eu-west-1.amazonaws.com/",
            "https://sns.evil.example/.amazonaws.com",
            "https://sns.eu.amazonaws.com@evil.example/",
            "https://sns.evil.example#.amazonaws.com",
            "https://evil.amazonaws.com/",
            "https://sns.x.amazonaws.com\\@evil.example/",
        ] {
            assert!(!is_of_sns(wrong), "{wrong}");
        }
    }
}
