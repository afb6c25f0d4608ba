//! Whether the audit is what it was: follows the chain from its beginning, and holds it against
//! everything that was signed.

use super::chain;
use mandate_store::{AuditedAct, UnreadableAct};
use mandate_types::{Act, Checkpoint, Digest};

/// The first thing that is wrong with an audit.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// A column of an act, or its hash.
    #[error("act {seq} was changed: {reason}")]
    Changed {
        /// Which.
        seq: u64,
        /// What shows it.
        reason: String,
    },
    /// Acts were taken out.
    #[error("acts are missing: after act {after} comes act {next}")]
    Missing {
        /// The last one before the gap.
        after: u64,
        /// The first one after it.
        next: u64,
    },
    /// The last acts were taken away.
    #[error("the tail was cut: the last act is {last}, and {mark} was signed when there were {seq}; the first one missing is {}", .last + 1)]
    Cut {
        /// The last one that is there.
        last: u64,
        /// What says so.
        mark: String,
        /// How many there were then.
        seq: u64,
    },
    /// Acts were changed and their hashes made anew.
    #[error(
        "acts were written anew: up to act {seq} they are not what they were when {mark} was signed; nothing shows that acts after {sound} are unchanged"
    )]
    Rewritten {
        /// Where the chain differs at the latest.
        seq: u64,
        /// What says so.
        mark: String,
        /// Up to here another checkpoint agrees.
        sound: u64,
    },
    /// A checkpoint that was changed, or made without the key.
    #[error("{mark} has a wrong signature: it was changed, or signed by somebody without the key")]
    Signature {
        /// Which.
        mark: String,
    },
    /// A checkpoint of another key than was expected.
    #[error("{mark} is signed with the key {found}, expected {expected}")]
    Key {
        /// Which.
        mark: String,
        /// The key that it names.
        found: String,
        /// The key that counts.
        expected: String,
    },
    /// Sealed acts, and no head.
    #[error("the signed head is missing, and acts up to {sealed} are sealed")]
    NoHead {
        /// Up to where acts have hashes.
        sealed: u64,
    },
    /// The head does not cover what is sealed.
    #[error(
        "{mark} is older than the audit: it was signed at act {seq}, and acts up to {sealed} are sealed"
    )]
    OldHead {
        /// Which.
        mark: String,
        /// Where it was signed.
        seq: u64,
        /// Up to where acts have hashes.
        sealed: u64,
    },
}

/// A checkpoint, and how it is called in a fault.
#[derive(Clone, Debug)]
pub struct Mark {
    /// For example `the signed head`.
    pub name: String,
    /// What it says.
    pub checkpoint: Checkpoint,
    /// The key that it must be signed with, if one is known.
    pub key: Option<String>,
}

/// An audit without a fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// How many acts.
    pub acts: u64,
    /// How many of them come after the newest checkpoint, and are vouched for by nobody yet.
    pub unsigned: u64,
    /// Acts by which the host itself put on record, at a start, that something was wrong.
    pub mismatches: Vec<u64>,
}

/// Takes the acts one by one, in order.
pub struct Verifier {
    /// By the acts they were signed at, the last first.
    marks: Vec<Mark>,
    previous: Digest,
    last: u64,
    signed: u64,
    sound: u64,
    /// An act without a hash; only the last ones may have none.
    unsealed: Option<u64>,
    mismatches: Vec<u64>,
}

impl Verifier {
    /// Against these checkpoints.
    ///
    /// # Errors
    /// [`Fault`] when one of them is not signed as it must be.
    pub fn new(marks: Vec<Mark>) -> Result<Self, Fault> {
        for mark in &marks {
            let Mark {
                name,
                checkpoint,
                key,
            } = mark;
            if !chain::is_signed(checkpoint) {
                return Err(Fault::Signature { mark: name.clone() });
            }
            if let Some(expected) = key.as_ref().filter(|key| **key != checkpoint.key) {
                return Err(Fault::Key {
                    mark: name.clone(),
                    found: checkpoint.key.clone(),
                    expected: expected.clone(),
                });
            }
        }
        let mut verifier = Self {
            marks: Vec::new(),
            previous: chain::beginning(),
            last: 0,
            signed: 0,
            sound: 0,
            unsealed: None,
            mismatches: Vec::new(),
        };
        for mark in marks {
            verifier.add(mark);
        }
        verifier.reach()?;
        Ok(verifier)
    }

    fn add(&mut self, mark: Mark) {
        self.signed = self.signed.max(mark.checkpoint.seq);
        let place = self
            .marks
            .partition_point(|other| other.checkpoint.seq > mark.checkpoint.seq);
        self.marks.insert(place, mark);
    }

    /// The next act.
    ///
    /// # Errors
    /// [`Fault`] when it is not what it was.
    pub fn next(&mut self, act: Result<AuditedAct, UnreadableAct>) -> Result<(), Fault> {
        let seq = act.as_ref().map_or_else(|bad| bad.seq, |act| act.seq);
        if seq != self.last.saturating_add(1) {
            return Err(Fault::Missing {
                after: self.last,
                next: seq,
            });
        }
        let act = act.map_err(|bad| Fault::Changed {
            seq,
            reason: bad.reason,
        })?;
        let hash = chain::link(&self.previous, &act);
        let changed = |seq, reason: &str| {
            Err(Fault::Changed {
                seq,
                reason: reason.to_owned(),
            })
        };
        match (act.hash, self.unsealed) {
            (Some(kept), _) if kept != hash => {
                return changed(seq, "its hash is not that of what it says");
            }
            (Some(_), Some(unsealed)) => return changed(unsealed, "its hash was removed"),
            (None, None) => self.unsealed = Some(seq),
            _ => {}
        }
        if act.act == Act::AUDIT_MISMATCH {
            self.mismatches.push(seq);
        }
        (self.last, self.previous) = (seq, hash);
        self.reach()
    }

    /// Holds the chain against what was signed here.
    fn reach(&mut self) -> Result<(), Fault> {
        while let Some(mark) = self.marks.pop_if(|mark| mark.checkpoint.seq == self.last) {
            if mark.checkpoint.hash != self.previous {
                return Err(Fault::Rewritten {
                    seq: self.last,
                    mark: mark.name,
                    sound: self.sound,
                });
            }
            self.sound = self.last;
        }
        Ok(())
    }

    /// There are no more.
    ///
    /// # Errors
    /// [`Fault::Cut`] when there were more once.
    pub fn end(self) -> Result<Verified, Fault> {
        match self.marks.into_iter().next() {
            Some(Mark {
                name, checkpoint, ..
            }) => Err(Fault::Cut {
                last: self.last,
                mark: name,
                seq: checkpoint.seq,
            }),
            None => Ok(Verified {
                acts: self.last,
                unsigned: self.last.saturating_sub(self.signed),
                mismatches: self.mismatches,
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::chain::tests::act;
    use ed25519_dalek::SigningKey;

    fn key() -> SigningKey {
        SigningKey::from_bytes(&[7; 32])
    }

    /// Sealed acts, and a checkpoint at each.
    fn sealed(count: u64) -> (Vec<AuditedAct>, Vec<Checkpoint>) {
        let mut previous = chain::beginning();
        let mut checkpoints = vec![chain::sign(&key(), 0, previous.clone())];
        let acts = (1..=count).map(|seq| {
            let mut act = act(seq);
            previous = chain::link(&previous, &act);
            act.hash = Some(previous.clone());
            checkpoints.push(chain::sign(&key(), seq, previous.clone()));
            act
        });
        (acts.collect(), checkpoints)
    }

    fn mark(checkpoint: &Checkpoint) -> Mark {
        Mark {
            name: "the head".to_owned(),
            checkpoint: checkpoint.clone(),
            key: Some(chain::public_key(&key())),
        }
    }

    fn verify(acts: &[AuditedAct], checkpoints: &[Checkpoint]) -> Result<Verified, Fault> {
        let marks = checkpoints.iter().map(mark).collect();
        let mut verifier = Verifier::new(marks)?;
        for act in acts {
            verifier.next(Ok(act.clone()))?;
        }
        verifier.end()
    }

    #[test]
    fn what_is_whole_is_found_whole() {
        let (mut acts, checkpoints) = sealed(5);
        let found = |acts: u64, unsigned: u64| {
            Ok(Verified {
                acts,
                unsigned,
                mismatches: Vec::new(),
            })
        };
        assert_eq!(verify(&acts, &checkpoints), found(5, 0));
        assert_eq!(verify(&acts, &checkpoints[..=3]), found(5, 2));
        assert_eq!(verify(&[], &[]), found(0, 0));
        // Not sealed yet, or the host ended before it could be.
        acts[4].hash = None;
        acts[3].hash = None;
        assert_eq!(verify(&acts, &checkpoints[5..]), found(5, 0));
    }

    #[test]
    fn each_fault_is_named_with_its_act() {
        let (acts, checkpoints) = sealed(5);
        let spoilt = |spoil: &dyn Fn(&mut Vec<AuditedAct>)| {
            let mut acts = acts.clone();
            spoil(&mut acts);
            verify(&acts, &checkpoints[5..]).unwrap_err()
        };
        let changed = |fault: &Fault| match fault {
            Fault::Changed { seq, .. } => *seq,
            other => panic!("{other}"),
        };
        assert_eq!(changed(&spoilt(&|a| a[2].data.push(' '))), 3);
        assert_eq!(changed(&spoilt(&|a| a[1].hash = None)), 2);
        assert_eq!(changed(&spoilt(&|a| a[4].hash = a[3].hash.clone())), 5);
        let missing = spoilt(&|a| drop(a.remove(2)));
        assert_eq!(missing, Fault::Missing { after: 2, next: 4 });
        let missing = spoilt(&|a| drop(a.remove(0)));
        assert_eq!(missing, Fault::Missing { after: 0, next: 2 });
        let cut = spoilt(&|a| a.truncate(3)).to_string();
        assert!(cut.contains("first one missing is 4"), "{cut}");
    }

    #[test]
    fn hashes_made_anew_do_not_agree_with_what_was_signed() {
        let (mut acts, checkpoints) = sealed(5);
        acts[2].actor = "eve".to_owned();
        let mut previous = acts[1].hash.clone().unwrap();
        for act in &mut acts[2..] {
            previous = chain::link(&previous, act);
            act.hash = Some(previous.clone());
        }
        let fault = verify(&acts, &[checkpoints[2].clone(), checkpoints[5].clone()]).unwrap_err();
        let Fault::Rewritten { seq, sound, .. } = fault else {
            panic!("{fault}");
        };
        assert_eq!((seq, sound), (5, 2));
        // Signed anew by somebody who has not the key.
        let other = chain::sign(&SigningKey::from_bytes(&[8; 32]), 5, previous.clone());
        let fault = verify(&acts, std::slice::from_ref(&other)).unwrap_err();
        assert!(matches!(fault, Fault::Key { .. }), "{fault}");
        let forged = Checkpoint {
            key: checkpoints[0].key.clone(),
            ..other
        };
        let fault = verify(&acts, &[forged]).unwrap_err();
        assert!(matches!(fault, Fault::Signature { .. }), "{fault}");
    }
}
