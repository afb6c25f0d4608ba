//! What makes an effect the same effect when its step is made again.

use hmac::{Hmac, KeyInit, Mac};
use mandate_types::InvocationId;
use sha2::Sha256;

/// Derives the keys by which others know an effect again: nobody can guess them, so that nobody
/// can take an effect's place before it was had.
#[derive(Clone)]
pub struct EffectKeys(Hmac<Sha256>);

impl EffectKeys {
    /// The keys of the host whose own key this is.
    pub fn new(host_key: &[u8; 32]) -> Self {
        let own = keyed(host_key)
            .chain_update(b"mandate effect keys 1")
            .finalize();
        Self(keyed(&own.into_bytes().into()))
    }

    /// The key of one step: 64 hexadecimal digits.
    pub fn of(&self, invocation: &InvocationId, sequence: u64, index: u32) -> String {
        let step = format!("{invocation}/{sequence}/{index}");
        let code = self.0.clone().chain_update(step.as_bytes()).finalize();
        hex::encode(code.into_bytes())
    }
}

/// The code takes its key as a block, filled up with zeros.
fn keyed(key: &[u8; 32]) -> Hmac<Sha256> {
    let mut block = [0; 64];
    for (to, from) in block.iter_mut().zip(key) {
        *to = *from;
    }
    Hmac::new(&block.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_has_one_key_and_no_other_step_has_it() {
        let (keys, other) = (EffectKeys::new(&[1; 32]), EffectKeys::new(&[2; 32]));
        let invocation = InvocationId::fresh();
        let key = keys.of(&invocation, 3, 0);
        assert_eq!(key.len(), 64);
        assert_eq!(key, keys.clone().of(&invocation, 3, 0));
        assert_ne!(key, keys.of(&invocation, 3, 1));
        assert_ne!(key, keys.of(&invocation, 30, 0));
        assert_ne!(key, keys.of(&InvocationId::fresh(), 3, 0));
        assert_ne!(key, other.of(&invocation, 3, 0));
    }
}
