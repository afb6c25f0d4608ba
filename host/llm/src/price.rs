//! What tokens cost: integers only, so that two ways of adding up never differ.

use crate::{Request, Usage};
use mandate_types::MicroUsd;

const MILLION: i128 = 1_000_000;

/// Micro-dollars per million tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rates {
    /// Of input that was neither read from the provider's cache nor written to it.
    pub input: i64,
    /// Of input from that cache.
    pub cached: i64,
    /// Of input that is written to it.
    pub cache_write: i64,
    /// Of output, whether shown or not.
    pub output: i64,
}

impl Rates {
    /// What `usage` costs: summed exactly, then rounded up once, to whole micro-dollars.
    fn cost(&self, usage: &Usage) -> MicroUsd {
        let cached = usage.cached_tokens.min(usage.input_tokens);
        let written = usage.cache_write_tokens.min(usage.input_tokens - cached);
        let parts = [
            (usage.input_tokens - cached - written, self.input),
            (cached, self.cached),
            (written, self.cache_write),
            (usage.output_tokens, self.output),
        ];
        let sum = parts.iter().fold(0_i128, |sum, (tokens, price)| {
            sum.saturating_add(i128::from(*tokens).saturating_mul(i128::from(*price)))
        });
        let up = sum.div_euclid(MILLION) + i128::from(sum.rem_euclid(MILLION) > 0);
        MicroUsd(i64::try_from(up).unwrap_or(i64::MAX))
    }

    /// So much input at the dearest of its rates, and so much output.
    fn most(&self, input: u64, output: u64) -> MicroUsd {
        let dearest = Self {
            input: self.input.max(self.cached).max(self.cache_write),
            ..*self
        };
        dearest.cost(&Usage {
            input_tokens: input,
            output_tokens: output,
            ..Usage::default()
        })
    }
}

/// What a model costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Price {
    /// As a rule.
    pub rates: Rates,
    /// Of a whole request with more input than so many tokens.
    pub long: Option<(u64, Rates)>,
}

impl Price {
    /// Nothing.
    pub const FREE: Self = Self {
        rates: Rates {
            input: 0,
            cached: 0,
            cache_write: 0,
            output: 0,
        },
        long: None,
    };

    /// What `usage` costs.
    pub fn cost(&self, usage: &Usage) -> MicroUsd {
        match &self.long {
            Some((above, rates)) if usage.input_tokens > *above => rates.cost(usage),
            _ => self.rates.cost(usage),
        }
    }

    /// The most that `request` can cost: all input that may be counted, all output used.
    pub fn worst_case(&self, request: &Request) -> MicroUsd {
        let output = u64::from(request.max_output_tokens);
        self.most(request.most_input_tokens(), output)
    }

    /// The most that embedding `texts` can cost.
    pub fn worst_case_embed(&self, texts: &[String]) -> MicroUsd {
        // A text may be framed by a token at each end.
        let tokens: usize = texts.iter().map(|text| text.len() + 2).sum();
        self.most(tokens as u64, 0)
    }

    /// The most that so many tokens can cost.
    pub fn most(&self, input: u64, output: u64) -> MicroUsd {
        let usual = self.rates.most(input, output);
        match &self.long {
            Some((above, rates)) if input > *above => usual.max(rates.most(input, output)),
            _ => usual,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PRICE: Price = price(3_000_000, 300_000, 3_750_000, 15_000_000);

    const fn price(input: i64, cached: i64, cache_write: i64, output: i64) -> Price {
        Price {
            rates: Rates {
                input,
                cached,
                cache_write,
                output,
            },
            long: None,
        }
    }

    #[test]
    fn rounds_up_once_over_the_sum() {
        // 0.3 + 0.3 + 0.3 micro-dollars: rounding each would give 3.
        let price = price(300_000, 300_000, 300_000, 300_000);
        let usage = Usage {
            input_tokens: 2,
            cached_tokens: 1,
            output_tokens: 1,
            ..Usage::default()
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
            cache_write_tokens: 200,
            output_tokens: 100,
            reasoning_tokens: 60,
        };
        assert_eq!(PRICE.cost(&usage), MicroUsd(400 * 3 + 120 + 750 + 1500));
    }

    #[test]
    fn absurd_usage_is_held_at_the_end_of_the_type() {
        let usage = Usage {
            input_tokens: u64::MAX,
            output_tokens: u64::MAX,
            ..Usage::default()
        };
        let price = price(i64::MAX, 0, 0, i64::MAX);
        assert_eq!(price.cost(&usage), MicroUsd(i64::MAX));
        // More cached than read is a provider's mistake; it never makes a negative cost.
        let odd = Usage {
            input_tokens: 1,
            cached_tokens: 5,
            ..Usage::default()
        };
        assert_eq!(PRICE.cost(&odd), MicroUsd(1));
        // So it is when more was written to the cache than was left to read.
        let odd = Usage {
            input_tokens: 1000,
            cached_tokens: 600,
            cache_write_tokens: 900,
            ..Usage::default()
        };
        assert_eq!(PRICE.cost(&odd), MicroUsd(180 + 400 * 15 / 4));
    }

    #[test]
    fn texts_for_vectors_count_each_byte_and_their_frame() {
        let texts = ["abc".to_owned(), String::new(), "é".to_owned()];
        let most = (3 + 2) + 2 + (2 + 2);
        assert_eq!(
            PRICE.worst_case_embed(&texts),
            MicroUsd((most * 15_i64 + 3) / 4)
        );
    }

    #[test]
    fn long_input_makes_the_whole_request_dearer() {
        let price = Price {
            long: Some((
                1_000,
                price(6_000_000, 600_000, 7_500_000, 20_000_000).rates,
            )),
            ..PRICE
        };
        let usage = |input_tokens| Usage {
            input_tokens,
            output_tokens: 10,
            ..Usage::default()
        };
        assert_eq!(price.cost(&usage(1_000)), MicroUsd(3_000 + 150));
        assert_eq!(price.cost(&usage(1_001)), MicroUsd(6_006 + 200));
        assert_eq!(price.most(1_001, 10), MicroUsd(7_508 + 200));
        assert_eq!(price.most(1_000, 10), MicroUsd(3_750 + 150));
    }
}
