//! Cursors: where a listing goes on. Opaque to clients, tied to the listing they came from.

use super::sql::Arg;
use crate::StoreError;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use std::sync::Arc;

/// A cursor's text: the listing it belongs to, and the keys of the last row given out.
pub(super) fn encode(listing: &str, keys: &[Arg]) -> String {
    let mut parts = vec![listing.to_owned()];
    for key in keys {
        parts.push(match key {
            Arg::Int(value) => format!("i{value}"),
            // As bits: a decimal form might not read back as the same number.
            Arg::Real(value) => format!("r{:x}", value.to_bits()),
            Arg::Text(value) => format!("t{value}"),
            Arg::Null | Arg::Blob(_) => "n".to_owned(),
        });
    }
    URL_SAFE_NO_PAD.encode(serde_json::Value::from(parts).to_string())
}

/// The keys in a cursor's text.
///
/// # Errors
/// [`StoreError::Cursor`] if it is not a cursor of this listing with `N` keys.
pub(super) fn decode<const N: usize>(listing: &str, text: &str) -> Result<[Arg; N], StoreError> {
    parse(listing, text)
        .and_then(|keys| keys.try_into().ok())
        .ok_or(StoreError::Cursor)
}

fn parse(listing: &str, text: &str) -> Option<Vec<Arg>> {
    let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
    let parts: Vec<String> = serde_json::from_slice(&bytes).ok()?;
    let (first, keys) = parts.split_first()?;
    if first != listing {
        return None;
    }
    keys.iter()
        .map(|key| match key.split_at_checked(1)? {
            ("i", value) => value.parse().ok().map(Arg::Int),
            ("r", bits) => {
                let number = f64::from_bits(u64::from_str_radix(bits, 16).ok()?);
                number.is_finite().then_some(Arg::Real(number))
            }
            ("t", value) => Some(Arg::Text(Arc::from(value))),
            ("n", "") => Some(Arg::Null),
            _ => None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_read_back() {
        let keys = [Arg::Int(-5), Arg::Real(0.1), Arg::text("é\"'"), Arg::Null];
        let read: [Arg; 4] = decode("list", &encode("list", &keys)).unwrap();
        assert_eq!(format!("{read:?}"), format!("{keys:?}"));
    }

    #[test]
    fn what_was_not_given_out_is_refused() {
        let good = encode("list", &[Arg::Int(1)]);
        assert!(decode::<1>("other", &good).is_err());
        assert!(decode::<2>("list", &good).is_err());
        for bad in [
            "",
            "!",
            "AAAA",
            "' OR 1=1 --",
            &good[1..],
            &encode("list", &[]),
        ] {
            assert!(decode::<1>("list", bad).is_err(), "{bad}");
        }
        let odd = URL_SAFE_NO_PAD.encode(r#"["list","é"]"#);
        assert!(decode::<1>("list", &odd).is_err());
    }
}
