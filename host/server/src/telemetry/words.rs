//! Aggregations by the words that clients use.

use mandate_store::series::Aggregation;

/// The aggregation of this name: `raw`, `mean`, `minimum`, `maximum`, `sum`, `count`, `rate`, or a
/// quantile as `p99`, `p99.9`; none if it is not one.
pub fn aggregation(text: &str) -> Option<Aggregation> {
    Some(match text {
        "raw" => Aggregation::Raw,
        "mean" => Aggregation::Mean,
        "minimum" => Aggregation::Minimum,
        "maximum" => Aggregation::Maximum,
        "sum" => Aggregation::Sum,
        "count" => Aggregation::Count,
        "rate" => Aggregation::Rate,
        _ => {
            let digits = text.strip_prefix('p')?;
            if !digits.starts_with(|first: char| first.is_ascii_digit()) {
                return None;
            }
            // Rounded, so that p99.9 is what one writes as 0.999.
            let percent: f64 = digits.parse().ok()?;
            (0.0..=100.0)
                .contains(&percent)
                .then_some(Aggregation::Quantile((percent * 1e6).round() / 1e8))?
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_percents() {
        assert_eq!(aggregation("p50"), Some(Aggregation::Quantile(0.5)));
        assert_eq!(aggregation("p99.9"), Some(Aggregation::Quantile(0.999)));
        assert_eq!(aggregation("rate"), Some(Aggregation::Rate));
        for bad in ["", "p", "p101", "p-1", "pNaN", "p+5", "median", "P99"] {
            assert_eq!(aggregation(bad), None, "{bad}");
        }
    }
}
