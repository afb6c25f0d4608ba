//! What holds the audit together: the hash of an act is over every column of it and over the
//! hash before, and a checkpoint says, signed, where the chain was.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use mandate_store::AuditedAct;
use mandate_types::{Checkpoint, Digest, Timestamp};

/// What stands before the first act.
pub fn beginning() -> Digest {
    Digest::of(b"mandate audit 1")
}

/// The hash of an act that comes after one with the hash `previous`: SHA-256 over the text of
/// that hash, number and time (64 bits, big-endian), and the texts, each behind its length. An
/// absent tenant is no text, but a length that none has.
pub fn link(previous: &Digest, act: &AuditedAct) -> Digest {
    let mut bytes = previous.as_str().as_bytes().to_vec();
    bytes.extend(act.seq.to_be_bytes());
    bytes.extend(act.at.micros().to_be_bytes());
    let texts = [&act.actor, &act.act, &act.subject].map(Some);
    let texts = texts
        .into_iter()
        .chain([act.tenant.as_ref(), Some(&act.data)]);
    for text in texts {
        match text {
            Some(text) => {
                bytes.extend((text.len() as u64).to_be_bytes());
                bytes.extend(text.as_bytes());
            }
            None => bytes.extend(u64::MAX.to_be_bytes()),
        }
    }
    Digest::of(&bytes)
}

/// What is signed, with a prefix so that a signature made for something else is none of ours.
fn message(seq: u64, hash: &Digest, at: Timestamp) -> Vec<u8> {
    let micros = at.micros();
    format!("mandate audit checkpoint 1\n{seq}\n{hash}\n{micros}").into_bytes()
}

/// Signs where the chain is now.
pub fn sign(key: &SigningKey, seq: u64, hash: Digest) -> Checkpoint {
    let at = Timestamp::now();
    Checkpoint {
        signature: STANDARD.encode(key.sign(&message(seq, &hash, at)).to_bytes()),
        key: public_key(key),
        seq,
        hash,
        at,
    }
}

/// The public half, as checkpoints name it.
pub fn public_key(key: &SigningKey) -> String {
    STANDARD.encode(key.verifying_key().as_bytes())
}

/// Whether a checkpoint is signed with the key that it names. Says nothing of whose key it is.
pub fn is_signed(checkpoint: &Checkpoint) -> bool {
    fn bytes<const N: usize>(text: &str) -> Option<[u8; N]> {
        STANDARD.decode(text).ok()?.try_into().ok()
    }
    let message = message(checkpoint.seq, &checkpoint.hash, checkpoint.at);
    let verified = || {
        let key = VerifyingKey::from_bytes(&bytes(&checkpoint.key)?).ok()?;
        let signature = Signature::from_bytes(&bytes(&checkpoint.signature)?);
        key.verify_strict(&message, &signature).ok()
    };
    verified().is_some()
}

#[cfg(test)]
pub mod tests {
    use super::*;

    /// An act with this number.
    pub fn act(seq: u64) -> AuditedAct {
        AuditedAct {
            seq,
            at: Timestamp::from_micros(5),
            actor: "ann".to_owned(),
            act: "token_created".to_owned(),
            subject: "principal/bob".to_owned(),
            tenant: None,
            data: "{}".to_owned(),
            hash: None,
        }
    }

    #[test]
    fn every_column_counts_and_where_it_ends() {
        let hash = |change: &dyn Fn(&mut AuditedAct)| {
            let mut act = act(1);
            change(&mut act);
            link(&beginning(), &act)
        };
        let all = [
            hash(&|_| {}),
            hash(&|act| act.seq = 2),
            hash(&|act| act.at = Timestamp::from_micros(6)),
            hash(&|act| act.actor = "anna".to_owned()),
            hash(&|act| act.act = "token_removed".to_owned()),
            hash(&|act| act.subject = "principal/ann".to_owned()),
            hash(&|act| act.tenant = Some(String::new())),
            hash(&|act| act.tenant = Some("default".to_owned())),
            hash(&|act| act.data = "{ }".to_owned()),
            hash(&|act| {
                act.actor = "annt".to_owned();
                act.act = "oken_created".to_owned();
            }),
            link(&Digest::of(b"another"), &act(1)),
        ];
        for (place, one) in all.iter().enumerate() {
            assert!(!all[..place].contains(one), "{place}");
        }
    }

    #[test]
    fn a_checkpoint_is_what_was_signed() {
        let key = SigningKey::from_bytes(&[7; 32]);
        let good = sign(&key, 3, beginning());
        assert!(is_signed(&good));
        let changed = |change: &dyn Fn(&mut Checkpoint)| {
            let mut checkpoint = good.clone();
            change(&mut checkpoint);
            is_signed(&checkpoint)
        };
        assert!(!changed(&|c| c.seq = 4));
        assert!(!changed(&|c| c.hash = Digest::of(b"")));
        assert!(!changed(&|c| c.at = Timestamp::from_micros(0)));
        assert!(!changed(
            &|c| c.key = public_key(&SigningKey::from_bytes(&[8; 32]))
        ));
        assert!(!changed(&|c| c.signature.truncate(8)));
        assert!(!changed(&|c| c.key.clear()));
    }
}
