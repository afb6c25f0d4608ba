//! The port to whoever pays: every attempt is reserved before it is made and settled when it ends.

use mandate_types::MicroUsd;

/// An attempt that is about to be made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Planned {
    /// At whom; empty if nobody would be asked.
    pub provider: String,
    /// Which model.
    pub model: String,
    /// The most that it can cost.
    pub most: MicroUsd,
}

/// Why an attempt is not made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unpaid {
    /// Nobody would pay it; a cheaper one may be.
    NoRoom(String),
    /// Nothing can be reserved any more: the call ends.
    Stopped,
}

/// Pays for the attempts of one call.
#[async_trait::async_trait]
pub trait Meter: Send + Sync {
    /// Reserves the most that an attempt can cost, and numbers it. It is on disk before this
    /// returns.
    ///
    /// # Errors
    /// [`Unpaid`]
    async fn open(&self, planned: Planned) -> Result<u32, Unpaid>;

    /// What the attempt `number` cost; `uncertain` if nobody knows, and it is the most it can be.
    fn close(&self, number: u32, cost: MicroUsd, uncertain: bool);
}

/// Who asks, and who pays.
#[derive(Clone, Copy)]
pub struct Caller<'a> {
    /// Nobody else hears the answers that are kept for him.
    pub tenant: &'a str,
    /// Plugins that wait for the same provider take turns.
    pub plugin: &'a str,
    /// Its calls stay with one provider as long as that answers, because of its cache.
    pub execution: &'a str,
    /// Who pays.
    pub meter: &'a dyn Meter,
}
