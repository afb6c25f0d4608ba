//! JSON as the SDK has it, there and back.

use aws_smithy_types::{Document, Number};
use serde_json::Value;

/// A value for the SDK.
pub fn there(value: &Value) -> Document {
    match value {
        Value::Null => Document::Null,
        Value::Bool(is) => Document::Bool(*is),
        Value::Number(number) => {
            let number = match (number.as_u64(), number.as_i64()) {
                (Some(number), _) => Number::PosInt(number),
                (None, Some(number)) => Number::NegInt(number),
                (None, None) => Number::Float(number.as_f64().unwrap_or_default()),
            };
            Document::Number(number)
        }
        Value::String(text) => Document::String(text.clone()),
        Value::Array(values) => Document::Array(values.iter().map(there).collect()),
        Value::Object(fields) => {
            let fields = fields.iter();
            Document::Object(fields.map(|(k, v)| (k.clone(), there(v))).collect())
        }
    }
}

/// A value of the SDK's.
pub fn back(document: Document) -> Value {
    match document {
        Document::Null => Value::Null,
        Document::Bool(is) => is.into(),
        Document::Number(Number::PosInt(number)) => number.into(),
        Document::Number(Number::NegInt(number)) => number.into(),
        Document::Number(Number::Float(number)) => number.into(),
        Document::String(text) => text.into(),
        Document::Array(values) => values.into_iter().map(back).collect(),
        Document::Object(fields) => fields.into_iter().map(|(k, v)| (k, back(v))).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_goes_there_comes_back() {
        let value =
            json!({"a": [null, true, -7, 18_446_744_073_709_551_615_u64, 0.25, "x"], "b": {}});
        assert_eq!(back(there(&value)), value);
    }
}
