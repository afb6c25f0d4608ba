//! What tokens cost: integers only, so that two ways of adding up never differ.

use crate::{Request, Usage};
use mandate_types::MicroUsd;

const MILLION: i128 = 1_000_000;

/// A model's prices, in micro-dollars per million tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Price {
    /// Of input that was not cached.
    pub input: i64,
    /// Of input from the provider's cache.
    pub cached: i64,
    /// Of output, whether shown or not.
    pub output: i64,
}

impl Price {
    /// Nothing.
    pub const FREE: Self = Self {
        input: 0,
        cached: 0,
        output: 0,
    };

    /// What `usage` costs: summed exactly, then rounded up once, to whole micro-dollars.
    pub fn cost(&self, usage: &Usage) -> MicroUsd {
        let cached = usage.cached_tokens.min(usage.input_tokens);
        let parts = [
            (usage.input_tokens - cached, self.input),
            (cached, self.cached),
            (usage.output_tokens, self.output),
        ];
        let sum = parts.iter().fold(0_i128, |sum, (tokens, price)| {
            sum.saturating_add(i128::from(*tokens).saturating_mul(i128::from(*price)))
        });
        let up = sum.div_euclid(MILLION) + i128::from(sum.rem_euclid(MILLION) > 0);
        MicroUsd(i64::try_from(up).unwrap_or(i64::MAX))
    }

    /// The most that `request` can cost: each byte of input as a token, all output used.
    pub fn worst_case(&self, request: &Request) -> MicroUsd {
        self.cost(&Usage {
            input_tokens: request.input_bytes(),
            output_tokens: u64::from(request.max_output_tokens),
            ..Usage::default()
        })
    }

    /// The most that embedding `texts` can cost.
    pub fn worst_case_embed(&self, texts: &[String]) -> MicroUsd {
        let bytes: usize = texts.iter().map(String::len).sum();
        self.cost(&Usage {
            input_tokens: bytes as u64,
            ..Usage::default()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PRICE: Price = Price {
        input: 3_000_000,
        cached: 300_000,
        output: 15_000_000,
    };

    #[test]
    fn rounds_up_once_over_the_sum() {
        // 0.3 + 0.3 + 0.3 micro-dollars: rounding each would give 3.
        let price = Price {
            input: 300_000,
            cached: 300_000,
            output: 300_000,
        };
        let usage = Usage {
            input_tokens: 2,
            cached_tokens: 1,
            output_tokens: 1,
            reasoning_tokens: 0,
        };
        assert_eq!(price.cost(&usage), MicroUsd(1));
        assert_eq!(Price::FREE.cost(&usage), MicroUsd::ZERO);
        assert_eq!(PRICE.cost(&Usage::default()), MicroUsd::ZERO);
    }

    #[test]
    fn cached_input_and_hidden_output_are_counted_once() {
        let usage = Usage {
            input_tokens: 1000,
            cached_tokens: 400,
            output_tokens: 100,
            reasoning_tokens: 60,
        };
        assert_eq!(PRICE.cost(&usage), MicroUsd(600 * 3 + 120 + 1500));
    }

    #[test]
    fn absurd_usage_is_held_at_the_end_of_the_type() {
        let usage = Usage {
            input_tokens: u64::MAX,
            cached_tokens: 0,
            output_tokens: u64::MAX,
            reasoning_tokens: 0,
        };
        let price = Price {
            input: i64::MAX,
            cached: 0,
            output: i64::MAX,
        };
        assert_eq!(price.cost(&usage), MicroUsd(i64::MAX));
        // More cached than read is a provider's mistake; it never makes a negative cost.
        let odd = Usage {
            input_tokens: 1,
            cached_tokens: 5,
            ..Usage::default()
        };
        assert_eq!(PRICE.cost(&odd), MicroUsd(1));
    }
}
