//! One form for every JSON text that is digested or compared.

use crate::Digest;
use serde_json::Value;

/// The digest of `value`: keys are sorted, so equal values have equal digests.
pub fn digest(value: &Value) -> Digest {
    Digest::of(value.to_string().as_bytes())
}

/// How many bytes `value` has as text, without writing it.
pub fn length(value: &Value) -> usize {
    struct Count(usize);
    impl std::io::Write for Count {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0 = self.0.saturating_add(bytes.len());
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let mut count = Count(0);
    // Values can be written as JSON, and counting does not fail.
    let _ = serde_json::to_writer(&mut count, value);
    count.0
}

/// How deep `value` is nested; a scalar is 1. Bounded by the parser's own limit of 128.
pub fn depth(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        Value::Object(fields) => 1 + fields.values().map(depth).max().unwrap_or(0),
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn order_of_keys_does_not_count() {
        let one: Value = serde_json::from_str(r#"{"a":1,"b":2}"#).unwrap();
        let two: Value = serde_json::from_str(r#"{"b":2,"a":1}"#).unwrap();
        assert_eq!(digest(&one), digest(&two));
        assert_ne!(digest(&one), digest(&json!({"a": 1})));
    }

    #[test]
    fn the_length_is_that_of_the_text() {
        let value = json!({"a": [1.5, null, "ü\n"], "b": {}});
        assert_eq!(length(&value), value.to_string().len());
    }

    #[test]
    fn depth_counts_levels() {
        assert_eq!(depth(&json!(1)), 1);
        assert_eq!(depth(&json!({"a": [1]})), 3);
    }
}
