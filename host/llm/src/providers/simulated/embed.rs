//! Vectors that are near when texts share words or parts of words.

const DIMENSIONS: usize = 256;

/// The text's words and letter triples, hashed into a vector of length 1.
pub(super) fn vector(text: &str) -> Vec<f32> {
    let mut sums = vec![0.0_f64; DIMENSIONS];
    let mut add = |feature: &str, weight: f64| {
        let hash = fnv(feature);
        let place = usize::try_from(hash % DIMENSIONS as u64).unwrap_or(0);
        // One bit more decides the sign, so that chance collisions cancel out on average.
        let signed = if hash >> 63 == 0 { weight } else { -weight };
        if let Some(sum) = sums.get_mut(place) {
            *sum += signed;
        }
    };
    for word in text
        .split(|c: char| !c.is_alphanumeric())
        .filter(|w| !w.is_empty())
    {
        let word = word.to_lowercase();
        add(&word, 1.0);
        let padded: Vec<char> = format!("^{word}$").chars().collect();
        for triple in padded.windows(3) {
            add(&triple.iter().collect::<String>(), 0.3);
        }
    }
    let length = sums.iter().map(|x| x * x).sum::<f64>().sqrt();
    if length == 0.0 {
        // Callers divide by lengths: a text without words gets a direction too.
        sums.iter_mut().take(1).for_each(|x| *x = 1.0);
        return sums.iter().map(|x| *x as f32).collect();
    }
    sums.iter().map(|x| (x / length) as f32).collect()
}

/// FNV-1a: short, fixed for all time, and good enough for buckets.
fn fnv(text: &str) -> u64 {
    let hash = text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    // The low bits of FNV alone are weak for short texts.
    (hash ^ (hash >> 29)).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(a: &str, b: &str) -> f32 {
        vector(a).iter().zip(vector(b)).map(|(x, y)| x * y).sum()
    }

    #[test]
    fn all_have_length_one() {
        for text in ["", "…", "one", "a longer text of several words"] {
            assert_eq!(vector(text).len(), DIMENSIONS);
            let length: f32 = vector(text).iter().map(|x| x * x).sum();
            assert!((length - 1.0).abs() < 1e-5, "{text}: {length}");
        }
    }

    #[test]
    fn shared_words_are_nearer_than_none() {
        let base = "rotate the signing keys weekly";
        assert!(near(base, "weekly rotation of signing keys") > 0.4);
        assert!(near(base, "fried rice with peas") < 0.25);
        assert!((near(base, "Rotate the signing KEYS, weekly!") - 1.0).abs() < 1e-5);
    }
}
