//! From text to a document.

use super::{Document, MAX_BYTES, PolicyError};

/// In what a document is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// TOML.
    Toml,
    /// JSON.
    Json,
}

impl Format {
    /// Which it is: JSON begins with a brace, and TOML cannot.
    pub fn of(text: &str) -> Self {
        if text.trim_start().starts_with('{') {
            Self::Json
        } else {
            Self::Toml
        }
    }
}

impl Document {
    /// Reads a document and looks whether what it says can be.
    ///
    /// # Errors
    /// [`PolicyError`] with the place of the first mistake.
    pub fn read(text: &str) -> Result<Self, PolicyError> {
        if text.len() > MAX_BYTES {
            return Err(PolicyError::TooLong(text.len()));
        }
        let document: Self = match Format::of(text) {
            Format::Toml => toml::from_str(text)
                .map_err(|error| PolicyError::Syntax(error.to_string().trim_end().to_owned()))?,
            Format::Json => serde_json::from_str(text)
                .map_err(|error| PolicyError::Syntax(error.to_string()))?,
        };
        document.check()?;
        Ok(document)
    }
}
