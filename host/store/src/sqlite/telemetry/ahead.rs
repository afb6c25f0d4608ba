//! The rows that make accepted points durable before they are in blocks: series numbers and
//! points as bytes, behind a checksum.

use super::block::{BlockError, seal, unseal};
use crate::series::Point;

/// A row that is being written.
pub(super) struct AheadRow(Vec<u8>);

impl AheadRow {
    pub(super) fn new() -> Self {
        Self(vec![0; 4])
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.len() <= 4
    }

    /// Adds sorted points of a series.
    pub(super) fn add(&mut self, series: i64, points: &[Point]) {
        self.varint(series.unsigned_abs());
        self.varint(points.len() as u64);
        let mut before = 0_i64;
        for point in points {
            let step = point.time.wrapping_sub(before);
            before = point.time;
            // Zigzag: small steps are few bytes, also backwards.
            self.varint(((step << 1) ^ (step >> 63)).cast_unsigned());
            self.0.extend_from_slice(&point.value.to_le_bytes());
        }
    }

    fn varint(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.0.push((number & 0x7f) as u8 | 0x80);
            number >>= 7;
        }
        self.0.push(number as u8);
    }

    /// The row's bytes.
    pub(super) fn bytes(mut self) -> Vec<u8> {
        seal(&mut self.0);
        self.0
    }
}

/// Points of a series.
pub(super) type Portion = (i64, Vec<Point>);

/// What is in a row.
pub(super) fn decode(bytes: &[u8]) -> Result<Vec<Portion>, BlockError> {
    let mut rest = unseal(bytes)?;
    let mut all = Vec::new();
    while !rest.is_empty() {
        let series = i64::try_from(varint(&mut rest)?).map_err(|_| BlockError::Short)?;
        let count = varint(&mut rest)?;
        // Each takes nine bytes at least.
        if count > rest.len() as u64 / 9 {
            return Err(BlockError::Short);
        }
        let mut points = Vec::with_capacity(usize::try_from(count).unwrap_or(0));
        let mut time = 0_i64;
        for _ in 0..count {
            let step = varint(&mut rest)?;
            let step = (step >> 1).cast_signed() ^ -(step & 1).cast_signed();
            time = time.wrapping_add(step);
            let (value, after) = rest.split_first_chunk::<8>().ok_or(BlockError::Short)?;
            rest = after;
            let value = f64::from_le_bytes(*value);
            points.push(Point { time, value });
        }
        all.push((series, points));
    }
    Ok(all)
}

fn varint(rest: &mut &[u8]) -> Result<u64, BlockError> {
    let mut number = 0_u64;
    for shift in (0..64).step_by(7) {
        let (byte, after) = rest.split_first().ok_or(BlockError::Short)?;
        *rest = after;
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Ok(number);
        }
    }
    Err(BlockError::Short)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_reads_back_or_not_at_all() {
        let points: Vec<Point> = [i64::MIN, -5, 0, 3, 1_790_000_000_000_000, i64::MAX]
            .iter()
            .map(|time| Point {
                time: *time,
                value: *time as f64 / 3.0,
            })
            .collect();
        let mut row = AheadRow::new();
        assert!(row.is_empty());
        row.add(7, &points);
        row.add(i64::MAX, &[]);
        let bytes = row.bytes();
        let back = decode(&bytes).unwrap();
        assert_eq!(back, [(7, points), (i64::MAX, vec![])]);
        for length in 0..bytes.len() {
            assert!(decode(&bytes[..length]).is_err(), "{length}");
        }
        let mut damaged = bytes;
        damaged[9] ^= 4;
        assert!(decode(&damaged).is_err());
    }
}
