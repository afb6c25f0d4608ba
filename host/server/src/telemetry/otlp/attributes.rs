//! Attributes as labels: bounded in number and size, so that one sender cannot fill the host with
//! names.

use mandate_store::series::MOST_LABELS;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::resource::v1::Resource;
use std::borrow::Cow;
use std::fmt::Write as _;

/// The most bytes of a label's value; what is longer is cut.
const MOST_VALUE: usize = 512;
/// The most bytes of a label's name; what has a longer one is left out.
const MOST_NAME: usize = 128;
/// Attributes of resources that say how telemetry was made, not of what.
const NOISE: [&str; 4] = ["telemetry.", "process.", "os.", "service.name"];

/// The service's name where a sender gives none.
const UNKNOWN: &str = "unknown_service";

/// A label that may borrow its value.
pub(super) type Label<'a> = (&'a str, Cow<'a, str>);

/// Who sends, and what every item of theirs is labelled with.
pub(super) struct Sender<'a> {
    pub(super) service: Cow<'a, str>,
    labels: Vec<Label<'a>>,
}

impl<'a> Sender<'a> {
    pub(super) fn of(resource: Option<&'a Resource>) -> Self {
        let attributes = resource.map_or(&[][..], |resource| &resource.attributes);
        let service = attributes
            .iter()
            .find(|attribute| attribute.key == "service.name")
            .map(|attribute| text(attribute.value.as_ref(), MOST_VALUE))
            .filter(|name| !name.is_empty())
            .unwrap_or(Cow::Borrowed(UNKNOWN));
        let mut labels = Vec::new();
        let telling = attributes
            .iter()
            .filter(|attribute| !NOISE.iter().any(|noise| attribute.key.starts_with(noise)));
        add(&mut labels, telling);
        Self { service, labels }
    }

    /// The labels of an item with these attributes: its own first, then the sender's, as many as
    /// fit; `more` are those that must be there.
    pub(super) fn labels(&'a self, more: &[Label<'a>], own: &'a [KeyValue]) -> Vec<Label<'a>> {
        let mut labels = Vec::with_capacity(more.len() + own.len() + self.labels.len());
        for (name, value) in more {
            put(&mut labels, name, || value.clone());
        }
        add(&mut labels, own.iter());
        for (name, value) in &self.labels {
            put(&mut labels, name, || value.clone());
        }
        labels
    }

    /// As [`Sender::labels`], owned.
    pub(super) fn owned(
        &'a self,
        more: &[Label<'a>],
        own: &'a [KeyValue],
    ) -> Vec<(String, String)> {
        self.labels(more, own)
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value.into_owned()))
            .collect()
    }
}

fn add<'a>(labels: &mut Vec<Label<'a>>, attributes: impl Iterator<Item = &'a KeyValue>) {
    for attribute in attributes {
        put(labels, &attribute.key, || {
            text(attribute.value.as_ref(), MOST_VALUE)
        });
    }
}

/// Adds a label if there is room and none of its name.
fn put<'a>(labels: &mut Vec<Label<'a>>, name: &'a str, value: impl FnOnce() -> Cow<'a, str>) {
    if labels.len() < MOST_LABELS
        && (1..=MOST_NAME).contains(&name.len())
        && labels.iter().all(|(known, _)| *known != name)
    {
        labels.push((name, value()));
    }
}

/// A value as text of at most so many bytes.
pub(super) fn text(value: Option<&AnyValue>, most: usize) -> Cow<'_, str> {
    match value.and_then(|value| value.value.as_ref()) {
        Some(Value::StringValue(text)) => Cow::Borrowed(cut(text, most)),
        Some(value) => {
            let mut text = String::new();
            write(&mut text, value, most);
            text.truncate(cut(&text, most).len());
            Cow::Owned(text)
        }
        None => Cow::Borrowed(""),
    }
}

/// The beginning of a text, at most so many bytes.
pub(super) fn cut(text: &str, most: usize) -> &str {
    text.get(..text.floor_char_boundary(most)).unwrap_or(text)
}

/// As JSON; stops soon after `most` bytes.
fn write(into: &mut String, value: &Value, most: usize) {
    if into.len() > most {
        return;
    }
    // Writing to a String does not fail.
    let _ = match value {
        Value::StringValue(text) => write!(into, "{:?}", cut(text, most)),
        Value::BoolValue(value) => write!(into, "{value}"),
        Value::IntValue(value) => write!(into, "{value}"),
        Value::DoubleValue(value) => write!(into, "{value}"),
        Value::BytesValue(bytes) => {
            let shown = bytes.get(..bytes.len().min(most / 2)).unwrap_or_default();
            write!(into, "{}", hex::encode(shown))
        }
        // An index into a table that this signal has not.
        Value::StringValueStrindex(_) => Ok(()),
        Value::ArrayValue(list) => {
            into.push('[');
            for (place, item) in list.values.iter().enumerate() {
                if into.len() > most {
                    break;
                }
                if place > 0 {
                    into.push(',');
                }
                item.value.iter().for_each(|item| write(into, item, most));
            }
            into.push(']');
            Ok(())
        }
        Value::KvlistValue(list) => {
            into.push('{');
            for (place, item) in list.values.iter().enumerate() {
                if into.len() > most {
                    break;
                }
                let comma = if place > 0 { "," } else { "" };
                let _ = write!(into, "{comma}{:?}:", cut(&item.key, most));
                let value = item.value.as_ref().and_then(|value| value.value.as_ref());
                value.into_iter().for_each(|value| write(into, value, most));
            }
            into.push('}');
            Ok(())
        }
    };
}

#[cfg(test)]
mod tests {
    use super::*;
    use opentelemetry_proto::tonic::common::v1::ArrayValue;

    fn attribute(key: &str, value: Value) -> KeyValue {
        KeyValue {
            key: key.to_owned(),
            value: Some(AnyValue { value: Some(value) }),
            ..KeyValue::default()
        }
    }

    #[test]
    fn values_of_every_kind_are_text() {
        let list = ArrayValue {
            values: vec![
                AnyValue {
                    value: Some(Value::IntValue(1)),
                },
                AnyValue {
                    value: Some(Value::StringValue("a".into())),
                },
            ],
        };
        let said = |value| text(attribute("k", value).value.as_ref(), 20).into_owned();
        assert_eq!(said(Value::ArrayValue(list)), "[1,\"a\"]");
        assert_eq!(said(Value::BoolValue(true)), "true");
        assert_eq!(said(Value::DoubleValue(0.5)), "0.5");
        assert_eq!(said(Value::BytesValue(vec![1, 255])), "01ff");
        assert_eq!(said(Value::StringValue("ä".repeat(20))), "ä".repeat(10));
        assert_eq!(text(None, 10), "");
    }

    #[test]
    fn own_labels_come_first_and_noise_is_left_out() {
        let resource = Resource {
            attributes: vec![
                attribute("service.name", Value::StringValue("shop".into())),
                attribute("telemetry.sdk.name", Value::StringValue("x".into())),
                attribute("host.name", Value::StringValue("h1".into())),
                attribute("zone", Value::StringValue("resource".into())),
            ],
            ..Resource::default()
        };
        let sender = Sender::of(Some(&resource));
        let own = [
            attribute("zone", Value::StringValue("point".into())),
            attribute("", Value::IntValue(1)),
        ];
        let more = [("service", sender.service.clone())];
        let labels = sender.owned(&more, &own);
        let wanted = [("service", "shop"), ("zone", "point"), ("host.name", "h1")];
        assert_eq!(
            labels,
            wanted.map(|(name, value)| (name.to_owned(), value.to_owned()))
        );
        assert_eq!(Sender::of(None).service, "unknown_service");
    }

    #[test]
    fn there_are_never_too_many_labels() {
        let many: Vec<KeyValue> = (0..100)
            .map(|n| attribute(&format!("k{n}"), Value::IntValue(n)))
            .collect();
        let sender = Sender::of(None);
        assert_eq!(sender.labels(&[], &many).len(), MOST_LABELS);
    }
}
