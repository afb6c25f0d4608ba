//! How one value is sealed: the bytes of a cell, bound to where it stands, so that it can be read nowhere else.
//!
//! ```text
//! 1 · generation of the key 4 · salt 16 · counter 8 · sealed value · tag 16
//! 2 · generation of the key 4 · salt 16 · counter 8 · digest of a large value 32 · tag 16
//! ```
//!
//! Each start of the host draws a salt, and derives a key of its own from the tenant's: the counter is the nonce, and
//! no two values ever share one.

use aes_gcm::aead::AeadInOut as _;
use aes_gcm::{Aes256Gcm, Nonce, Tag};
use mandate_types::InvocationId;

/// Written inline.
const INLINE: u8 = 1;
/// Kept once per tenant, under its digest.
const KEPT_APART: u8 = 2;

pub(super) const SALT: usize = 16;
const COUNTER: usize = 8;
const TAG: usize = 16;
pub(super) const DIGEST: usize = 32;
/// Format, generation, salt, counter.
const HEAD: usize = 1 + 4 + SALT + COUNTER;
/// No cell is shorter.
pub(super) const LEAST: usize = HEAD + TAG;

/// Where a value stands: table and column, and the key of its row.
#[derive(Clone, Copy)]
pub(in crate::sqlite) struct Place<'a> {
    pub(super) column: &'static str,
    pub(super) row: &'a [u8],
    pub(super) sequence: u64,
    pub(super) index: u32,
}

impl Place<'_> {
    /// What is bound to the value, besides the head of its cell.
    fn bound(&self, head: &[u8], digest: &[u8]) -> Vec<u8> {
        let mut bound = Vec::with_capacity(128);
        bound.extend_from_slice(head);
        bound.extend_from_slice(digest);
        bound.extend_from_slice(&self.sequence.to_le_bytes());
        bound.extend_from_slice(&self.index.to_le_bytes());
        // Columns hold no zero byte, so no two places look alike.
        bound.extend_from_slice(self.column.as_bytes());
        bound.push(0);
        bound.extend_from_slice(self.row);
        bound
    }
}

impl<'a> Place<'a> {
    /// A column of an invocation.
    pub(in crate::sqlite) fn of_invocation(column: &'static str, id: &'a InvocationId) -> Self {
        Self::of_step(column, id, 0, 0)
    }

    /// A column of a step.
    pub(in crate::sqlite) fn of_step(
        column: &'static str,
        invocation: &'a InvocationId,
        sequence: u64,
        index: u32,
    ) -> Self {
        Self {
            column,
            row: invocation.as_str().as_bytes(),
            sequence,
            index,
        }
    }
}

/// A cell taken apart.
pub(super) struct Cell<'a> {
    head: &'a [u8],
    pub(super) generation: u32,
    pub(super) salt: [u8; SALT],
    nonce: [u8; 12],
    body: &'a [u8],
    tag: [u8; TAG],
    pub(super) kept_apart: bool,
}

impl<'a> Cell<'a> {
    /// Takes a cell apart; none if it is none of ours.
    pub(super) fn parse(bytes: &'a [u8]) -> Option<Self> {
        let (head, rest) = bytes.split_at_checked(HEAD)?;
        let (body, tag) = rest.split_at_checked(rest.len().checked_sub(TAG)?)?;
        let (&format, fields) = head.split_first()?;
        let (generation, fields) = fields.split_first_chunk()?;
        let (salt, counter) = fields.split_first_chunk()?;
        let kept_apart = match format {
            INLINE => false,
            KEPT_APART if body.len() == DIGEST => true,
            _ => return None,
        };
        Some(Self {
            head,
            generation: u32::from_le_bytes(*generation),
            salt: *salt,
            nonce: nonce(u64::from_le_bytes(counter.try_into().ok()?)),
            body,
            tag: tag.try_into().ok()?,
            kept_apart,
        })
    }

    /// The value; of one that is kept apart, its digest. None if the cell was changed, moved, or is not of this key.
    pub(super) fn open(&self, cipher: &Aes256Gcm, place: &Place<'_>) -> Option<Vec<u8>> {
        let (nonce, tag) = (Nonce::from(self.nonce), Tag::from(self.tag));
        let (bound, mut value) = if self.kept_apart {
            (place.bound(self.head, self.body), Vec::new())
        } else {
            (place.bound(self.head, &[]), self.body.to_vec())
        };
        cipher
            .decrypt_inout_detached(&nonce, &bound, value.as_mut_slice().into(), &tag)
            .ok()?;
        Some(if self.kept_apart {
            self.body.to_vec()
        } else {
            value
        })
    }
}

/// What a cell begins with, before it is sealed.
pub(super) struct Head {
    pub(super) generation: u32,
    pub(super) salt: [u8; SALT],
    pub(super) counter: u64,
}

impl Head {
    fn cell(&self, format: u8, room: usize) -> Vec<u8> {
        let mut cell = Vec::with_capacity(HEAD + room + TAG);
        cell.push(format);
        cell.extend_from_slice(&self.generation.to_le_bytes());
        cell.extend_from_slice(&self.salt);
        cell.extend_from_slice(&self.counter.to_le_bytes());
        cell
    }

    /// The cell that holds `value`; none only for values of 64 GiB.
    pub(super) fn seal(
        &self,
        cipher: &Aes256Gcm,
        place: &Place<'_>,
        value: &[u8],
    ) -> Option<Vec<u8>> {
        let mut cell = self.cell(INLINE, value.len());
        let bound = place.bound(&cell, &[]);
        cell.extend_from_slice(value);
        let (_, sealed) = cell.split_at_mut_checked(HEAD)?;
        let tag = cipher
            .encrypt_inout_detached(&Nonce::from(nonce(self.counter)), &bound, sealed.into())
            .ok()?;
        cell.extend_from_slice(&tag);
        Some(cell)
    }

    /// The cell that names a value kept apart.
    pub(super) fn name(
        &self,
        cipher: &Aes256Gcm,
        place: &Place<'_>,
        digest: &[u8; DIGEST],
    ) -> Option<Vec<u8>> {
        let mut cell = self.cell(KEPT_APART, DIGEST);
        let bound = place.bound(&cell, digest);
        cell.extend_from_slice(digest);
        let nothing: &mut [u8] = &mut [];
        let tag = cipher
            .encrypt_inout_detached(&Nonce::from(nonce(self.counter)), &bound, nothing.into())
            .ok()?;
        cell.extend_from_slice(&tag);
        Some(cell)
    }
}

fn nonce(counter: u64) -> [u8; 12] {
    let mut nonce = [0; 12];
    for (place, byte) in nonce.iter_mut().zip(counter.to_le_bytes()) {
        *place = byte;
    }
    nonce
}

#[cfg(test)]
mod tests {
    use super::*;
    use aes_gcm::aead::KeyInit as _;

    fn place(row: &[u8]) -> Place<'_> {
        Place {
            column: "steps.answer",
            row,
            sequence: 3,
            index: 0,
        }
    }

    fn sealed(value: &[u8]) -> (Aes256Gcm, Vec<u8>) {
        let cipher = Aes256Gcm::new(&[7; 32].into());
        let head = Head {
            generation: 2,
            salt: [9; SALT],
            counter: 77,
        };
        let cell = head.seal(&cipher, &place(b"inv-a"), value).unwrap();
        (cipher, cell)
    }

    #[test]
    fn a_value_is_read_where_it_was_written_and_nowhere_else() {
        let (cipher, cell) = sealed(b"secret");
        assert!(!cell.windows(6).any(|w| w == b"secret"));
        let cell = Cell::parse(&cell).unwrap();
        assert_eq!((cell.generation, cell.salt), (2, [9; SALT]));
        assert_eq!(cell.open(&cipher, &place(b"inv-a")).unwrap(), b"secret");
        for elsewhere in [
            place(b"inv-b"),
            Place {
                index: 1,
                ..place(b"inv-a")
            },
            Place {
                sequence: 4,
                ..place(b"inv-a")
            },
            Place {
                column: "steps.arguments",
                ..place(b"inv-a")
            },
        ] {
            assert_eq!(cell.open(&cipher, &elsewhere), None);
        }
    }

    #[test]
    fn no_byte_can_be_changed() {
        let (cipher, cell) = sealed(b"secret");
        for at in 0..cell.len() {
            let mut changed = cell.clone();
            changed[at] ^= 1;
            let opened = Cell::parse(&changed).and_then(|c| c.open(&cipher, &place(b"inv-a")));
            assert_eq!(opened, None, "byte {at}");
        }
        for shorter in 0..cell.len() {
            let opened =
                Cell::parse(&cell[..shorter]).and_then(|c| c.open(&cipher, &place(b"inv-a")));
            assert_eq!(opened, None, "{shorter} bytes");
        }
    }

    #[test]
    fn a_name_stands_where_it_was_written() {
        let (cipher, _) = sealed(b"");
        let head = Head {
            generation: 2,
            salt: [9; SALT],
            counter: 78,
        };
        let cell = head.name(&cipher, &place(b"inv-a"), &[5; DIGEST]).unwrap();
        // The triggers of the migration look for it here.
        assert_eq!((cell[0], &cell[29..61]), (2, &[5; DIGEST][..]));
        let parsed = Cell::parse(&cell).unwrap();
        assert!(parsed.kept_apart);
        assert_eq!(parsed.open(&cipher, &place(b"inv-a")).unwrap(), [5; DIGEST]);
        assert_eq!(parsed.open(&cipher, &place(b"inv-b")), None);
        let mut other = cell.clone();
        other[40] ^= 1;
        assert_eq!(
            Cell::parse(&other).unwrap().open(&cipher, &place(b"inv-a")),
            None
        );
    }
}
