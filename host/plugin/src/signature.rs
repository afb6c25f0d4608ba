//! Who vouches for a plugin file: an ed25519 signature over everything before it. A key is
//! trusted for one publisher only, so that nobody can sign in another's name.

use crate::package::{Package, PackageError, SIGNATURE_SECTION};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signer as _, SigningKey, VerifyingKey};
use mandate_types::Digest;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use wasm_encoder::{CustomSection, Encode as _, Section as _};

/// A signature as it was found in a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signature {
    /// The public key, base64.
    pub publisher_key: String,
    /// Whether the signature is of this key over these bytes. Says nothing of whose key it is.
    pub valid: bool,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Section {
    algorithm: String,
    key: String,
    signature: String,
}

const ALGORITHM: &str = "ed25519";

/// What is signed: the digest of all bytes before the signature, with a prefix so that a
/// signature made for something else is none of ours.
fn message(digest: &Digest) -> Vec<u8> {
    format!("mandate plugin signature 1\n{digest}").into_bytes()
}

impl Signature {
    /// Reads the content of a signature section; the text says why it cannot be read.
    pub(crate) fn read(content: &[u8], digest: &Digest) -> Result<Self, String> {
        let section: Section =
            serde_json::from_slice(content).map_err(|error| error.to_string())?;
        if section.algorithm != ALGORITHM {
            return Err(format!(
                "the algorithm is `{}`, expected `{ALGORITHM}`",
                section.algorithm
            ));
        }
        let key = verifying_key(&section.key).map_err(|error| error.to_string())?;
        let signature: [u8; 64] = STANDARD
            .decode(&section.signature)
            .ok()
            .and_then(|bytes| bytes.try_into().ok())
            .ok_or("the signature is not 64 bytes in base64")?;
        let signature = ed25519_dalek::Signature::from_bytes(&signature);
        let valid = key.verify_strict(&message(digest), &signature).is_ok();
        Ok(Self {
            publisher_key: section.key,
            valid,
        })
    }
}

/// Why a text is not a publisher's key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a publisher's key is 32 bytes of ed25519 in base64")]
pub struct KeyError;

fn verifying_key(text: &str) -> Result<VerifyingKey, KeyError> {
    let bytes: [u8; 32] = STANDARD
        .decode(text)
        .ok()
        .and_then(|bytes| bytes.try_into().ok())
        .ok_or(KeyError)?;
    VerifyingKey::from_bytes(&bytes).map_err(|_| KeyError)
}

/// The public half of a secret key, in base64, as it is written in signatures and trust lists.
pub fn public_key(secret: &[u8; 32]) -> String {
    STANDARD.encode(SigningKey::from_bytes(secret).verifying_key().as_bytes())
}

/// The file with a signature of `secret`, in place of the one that it had.
///
/// # Errors
/// [`PackageError`] when `bytes` is not a plugin.
pub fn sign(bytes: Vec<u8>, secret: &[u8; 32]) -> Result<Vec<u8>, PackageError> {
    let package = Package::read(bytes)?;
    let key = SigningKey::from_bytes(secret);
    let section = Section {
        algorithm: ALGORITHM.to_owned(),
        key: public_key(secret),
        signature: STANDARD.encode(key.sign(&message(&package.digest)).to_bytes()),
    };
    let data = serde_json::to_vec(&section).map_err(|error| PackageError::BadSignature {
        reason: error.to_string(),
    })?;
    let mut signed = package.unsigned().to_vec();
    append_section(&mut signed, SIGNATURE_SECTION, &data);
    Ok(signed)
}

/// Appends a custom section to a component.
pub(crate) fn append_section(bytes: &mut Vec<u8>, name: &str, data: &[u8]) {
    let section = CustomSection {
        name: name.into(),
        data: data.into(),
    };
    bytes.push(section.id());
    section.encode(bytes);
}

/// Which keys are trusted, each for one publisher only.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TrustedKeys(BTreeMap<String, Vec<String>>);

/// What the signature of a plugin is worth on this host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Trust {
    /// Signed with a key that is trusted for its publisher.
    Trusted,
    /// Not signed.
    Unsigned,
    /// Signed, and the bytes are those that were signed, but the key is not trusted for this publisher.
    UnknownKey,
    /// The bytes are not those that were signed.
    Invalid,
}

impl TrustedKeys {
    /// Trusts `key` (base64) for `publisher`.
    ///
    /// # Errors
    /// [`KeyError`] when it is not a key.
    pub fn trust(&mut self, publisher: &str, key: &str) -> Result<(), KeyError> {
        verifying_key(key)?;
        let keys = self.0.entry(publisher.to_owned()).or_default();
        if !keys.iter().any(|known| known == key) {
            keys.push(key.to_owned());
        }
        Ok(())
    }

    /// Whether any key is trusted for `publisher`: then its plugins must be signed.
    pub fn knows(&self, publisher: &str) -> bool {
        self.0.get(publisher).is_some_and(|keys| !keys.is_empty())
    }

    /// What the signature of `package` is worth.
    pub fn judge(&self, package: &Package) -> Trust {
        match &package.signature {
            None => Trust::Unsigned,
            Some(signature) if !signature.valid => Trust::Invalid,
            Some(signature) => {
                let trusted = self
                    .0
                    .get(&package.manifest.plugin.publisher)
                    .is_some_and(|keys| keys.contains(&signature.publisher_key));
                if trusted {
                    Trust::Trusted
                } else {
                    Trust::UnknownKey
                }
            }
        }
    }
}
