//! Points of one series as bytes: times and values compressed apart, behind a checksum.

use crate::series::Point;
use pco::ChunkConfig;
use pco::standalone::{simple_compress, simple_decompress};

/// How many points a full block holds: enough to compress well, few enough to be read for little.
pub(super) const FULL: usize = 2_048;
/// Measured: hardly larger than the default level, and compressed in less than half the time.
const LEVEL: usize = 4;

/// Why a block does not read back.
#[derive(Debug, thiserror::Error)]
pub(super) enum BlockError {
    #[error("it is cut short")]
    Short,
    #[error("its checksum is wrong")]
    Checksum,
    #[error("its numbers cannot be read: {0}")]
    Numbers(#[from] pco::errors::PcoError),
}

/// The bytes of sorted points.
pub(super) fn encode(points: &[Point]) -> Result<Vec<u8>, BlockError> {
    let times: Vec<i64> = points.iter().map(|point| point.time).collect();
    let values: Vec<f64> = points.iter().map(|point| point.value).collect();
    let config = ChunkConfig::default().with_compression_level(LEVEL);
    let times = simple_compress(&times, &config)?;
    let values = simple_compress(&values, &config)?;
    let mut bytes = Vec::with_capacity(8 + times.len() + values.len());
    bytes.extend_from_slice(&[0; 4]);
    // A block has a few thousand points: its times are far below 4 GiB.
    bytes.extend_from_slice(&u32::try_from(times.len()).unwrap_or(u32::MAX).to_le_bytes());
    bytes.extend_from_slice(&times);
    bytes.extend_from_slice(&values);
    seal(&mut bytes);
    Ok(bytes)
}

/// The points of these bytes.
pub(super) fn decode(bytes: &[u8]) -> Result<Vec<Point>, BlockError> {
    let rest = unseal(bytes)?;
    let (length, rest) = rest.split_first_chunk::<4>().ok_or(BlockError::Short)?;
    let length = usize::try_from(u32::from_le_bytes(*length)).unwrap_or(usize::MAX);
    let (times, values) = rest.split_at_checked(length).ok_or(BlockError::Short)?;
    let times: Vec<i64> = simple_decompress(times)?;
    let values: Vec<f64> = simple_decompress(values)?;
    if times.len() != values.len() {
        return Err(BlockError::Short);
    }
    let points = times.into_iter().zip(values);
    Ok(points.map(|(time, value)| Point { time, value }).collect())
}

/// Puts the checksum of the rest into the first four bytes.
pub(super) fn seal(bytes: &mut [u8]) {
    if let Some((sum, rest)) = bytes.split_first_chunk_mut::<4>() {
        *sum = crc32fast::hash(rest).to_le_bytes();
    }
}

/// What is behind the checksum, if that is right.
pub(super) fn unseal(bytes: &[u8]) -> Result<&[u8], BlockError> {
    let (sum, rest) = bytes.split_first_chunk::<4>().ok_or(BlockError::Short)?;
    if crc32fast::hash(rest).to_le_bytes() == *sum {
        Ok(rest)
    } else {
        Err(BlockError::Checksum)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn some() -> Vec<Point> {
        (0..3_000)
            .map(|n| Point {
                time: 1_790_000_000_000_000 + n * 15_000_000 + n % 7,
                value: (n as f64 / 50.0).sin() * 1e-3,
            })
            .collect()
    }

    #[test]
    fn points_read_back_to_the_bit() {
        let mut points = some();
        points[5].value = -0.0;
        points[6].value = f64::MAX;
        points[7].value = f64::MIN_POSITIVE / 4.0;
        let back = decode(&encode(&points).unwrap()).unwrap();
        let bits = |points: &[Point]| -> Vec<(i64, u64)> {
            points.iter().map(|p| (p.time, p.value.to_bits())).collect()
        };
        assert_eq!(bits(&back), bits(&points));
        assert!(decode(&encode(&[]).unwrap()).unwrap().is_empty());
    }

    #[test]
    fn damage_is_noticed_wherever_it_is() {
        let whole = encode(&some()).unwrap();
        for place in [0, 3, 4, 20, whole.len() / 2, whole.len() - 1] {
            let mut damaged = whole.clone();
            damaged[place] ^= 1;
            assert!(decode(&damaged).is_err(), "{place}");
        }
        for length in [0, 3, 7, whole.len() - 1] {
            assert!(decode(&whole[..length]).is_err(), "{length}");
        }
    }
}
