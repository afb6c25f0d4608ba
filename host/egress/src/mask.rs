//! Takes the values of secrets out of what comes back.

use crate::template::place;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use memchr::memmem;

/// The forms of the values that were sent, and what stands for each.
#[derive(Default)]
pub struct Mask {
    forms: Vec<(Vec<u8>, String)>,
}

impl Mask {
    /// Adds a secret, in the forms in which servers repeat what they were sent.
    pub fn add(&mut self, name: &str, value: &str) {
        let json = serde_json::Value::from(value).to_string();
        let percent: String = url::form_urlencoded::byte_serialize(value.as_bytes()).collect();
        let forms = [
            value.to_owned(),
            json.trim_matches('"').to_owned(),
            percent.replace('+', "%20"),
            percent,
            STANDARD.encode(value),
            STANDARD_NO_PAD.encode(value),
            URL_SAFE_NO_PAD.encode(value),
        ];
        for form in forms {
            let known = self.forms.iter().any(|(known, _)| known == form.as_bytes());
            if !known {
                self.forms.push((form.into_bytes(), place(name)));
            }
        }
        // A longer one may hold a shorter one.
        self.forms.sort_by_key(|(form, _)| usize::MAX - form.len());
    }

    /// Whether nothing was sent that has to be taken out.
    pub fn is_empty(&self) -> bool {
        self.forms.is_empty()
    }

    /// `bytes` without the values.
    pub fn bytes(&self, mut bytes: Vec<u8>) -> Vec<u8> {
        for (form, place) in &self.forms {
            let finder = memmem::Finder::new(form);
            let mut from = 0;
            let mut masked = Vec::new();
            for at in finder.find_iter(&bytes) {
                masked.extend_from_slice(bytes.get(from..at).unwrap_or_default());
                masked.extend_from_slice(place.as_bytes());
                from = at + form.len();
            }
            if from > 0 {
                masked.extend_from_slice(bytes.get(from..).unwrap_or_default());
                bytes = masked;
            }
        }
        bytes
    }

    /// `text` without the values.
    pub fn text(&self, text: String) -> String {
        if self.is_empty() {
            return text;
        }
        String::from_utf8_lossy(&self.bytes(text.into_bytes())).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_taken_out_in_the_forms_in_which_it_is_repeated() {
        let mut mask = Mask::default();
        mask.add("KEY", "s3cr3t/\"value\"");
        mask.add("LONGER", "s3cr3t/\"value\" and more");
        let given = [
            "s3cr3t/\"value\"",
            "s3cr3t/\\\"value\\\"",
            "s3cr3t%2F%22value%22",
            "czNjcjN0LyJ2YWx1ZSI=",
            "czNjcjN0LyJ2YWx1ZSI",
        ];
        for form in given {
            let masked = mask.text(format!("<{form}>"));
            assert!(masked.starts_with("<{{secret:KEY}}"), "{masked}");
        }
        assert_eq!(
            mask.text("s3cr3t/\"value\" and more, s3cr3t".to_owned()),
            "{{secret:LONGER}}, s3cr3t"
        );
        assert_eq!(mask.bytes(vec![0xff, 0x00]), [0xff, 0x00]);
    }
}
