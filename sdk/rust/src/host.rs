//! The one door out of the sandbox.

use crate::error::Error;
use crate::http::Http;
use crate::llm::{Llm, ModelClass};
use crate::port::Port;
use crate::react::React;
use crate::records::Collection;
use crate::telemetry::Telemetry;
use crate::{from_json, to_json};
use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::time::Duration;

pub use crate::bindings::imports::mandate::events::events::Event;
pub use crate::bindings::imports::mandate::system::log::Level;

/// Microseconds since 1970-01-01T00:00:00Z.
pub type Timestamp = u64;

/// Everything that a plugin can ask for. What is not granted answers [`Error::Denied`].
#[derive(Clone)]
pub struct Host {
    pub(crate) port: Port,
}

impl Host {
    /// The host around this component; a panic is logged before it ends the invocation.
    #[cfg(target_arch = "wasm32")]
    #[doc(hidden)]
    pub fn of_guest() -> Self {
        std::panic::set_hook(Box::new(|panic| Port.log(Level::Error, &panic.to_string())));
        Self { port: Port }
    }

    /// Language models.
    pub fn llm(&self) -> Llm<'_> {
        Llm { port: &self.port }
    }

    /// A model that calls tools until it is done.
    pub fn react(&self, class: ModelClass) -> React<'_> {
        React::new(self, class)
    }

    /// The records of a collection, whose bodies are `T`.
    pub fn records<T>(&self, collection: &str) -> Collection<'_, T> {
        Collection::new(&self.port, collection)
    }

    /// Metrics, logs, spans and topology of the systems that agents look after.
    pub fn telemetry(&self) -> Telemetry<'_> {
        Telemetry { port: &self.port }
    }

    /// Requests to other hosts.
    pub fn http(&self) -> Http<'_> {
        Http { port: &self.port }
    }

    /// Tells subscribers that something happened. They see the kind as `<plugin>.<kind>`; the subject is the
    /// record that it is about, as `collection/id`.
    ///
    /// # Errors
    /// [`Error::Denied`] without the capability `events`; [`Error::Invalid`] for a kind that is none.
    pub fn publish(
        &self,
        kind: &str,
        subject: Option<&str>,
        data: &impl Serialize,
    ) -> Result<(), Error> {
        self.port.publish(&Event {
            kind: kind.to_owned(),
            subject: subject.map(str::to_owned),
            data: to_json("data of the event", data)?,
        })
    }

    /// Asks people, and waits until somebody has answered, if that takes days. The host holds nothing meanwhile.
    ///
    /// # Errors
    /// [`Error::Denied`] without the capability `human`; [`Error::Invalid`] for an answer that is not a `T`.
    pub fn ask<T: DeserializeOwned + JsonSchema>(&self, question: &str) -> Result<T, Error> {
        let answer = self.port.ask(question, &crate::schema_of::<T>(true))?;
        from_json("answer", &answer)
    }

    /// Ends this execution and starts the task's next one with `input`, which must be what the agent's schema says
    /// of its input. Journal, steps and time begin anew; money counts over the whole task. On a host this does not
    /// return unless it is refused, so write `return Err(host.continue_as_new(&next))`.
    ///
    /// What it returns says why it was refused: [`Error::Denied`] to tools and to agents that were called,
    /// [`Error::Invalid`] for input that does not fit. In a test it returns [`Error::Interrupted`], and
    /// `FakeHost::continued` has the input.
    #[must_use]
    pub fn continue_as_new(&self, input: &impl Serialize) -> Error {
        match to_json("input", input) {
            Ok(input) => self.port.continue_as_new(&input),
            Err(error) => error,
        }
    }

    /// Writes to the plugin's log. More bytes than the limit `log_bytes` end the invocation.
    pub fn log(&self, level: Level, message: impl AsRef<str>) {
        self.port.log(level, message.as_ref());
    }

    /// [`Host::log`] at level debug.
    pub fn debug(&self, message: impl AsRef<str>) {
        self.log(Level::Debug, message);
    }

    /// [`Host::log`] at level info.
    pub fn info(&self, message: impl AsRef<str>) {
        self.log(Level::Info, message);
    }

    /// [`Host::log`] at level warn.
    pub fn warn(&self, message: impl AsRef<str>) {
        self.log(Level::Warn, message);
    }

    /// [`Host::log`] at level error.
    pub fn error(&self, message: impl AsRef<str>) {
        self.log(Level::Error, message);
    }

    /// What people see of the running task; the fraction is 0–1.
    pub fn progress(&self, fraction: f64, message: impl AsRef<str>) {
        self.port
            .progress(Some(fraction.clamp(0.0, 1.0)), message.as_ref());
    }

    /// [`Host::progress`] where nobody knows how much is left.
    pub fn working_on(&self, message: impl AsRef<str>) {
        self.port.progress(None, message.as_ref());
    }

    /// The time of the last recorded answer plus a tick per read: the same on replay.
    pub fn now(&self) -> Timestamp {
        self.port.now()
    }

    /// Random bytes, the same on replay; at most 65,536 at a time.
    pub fn random_bytes(&self, length: u32) -> Vec<u8> {
        self.port.random(length)
    }

    /// A random number, the same on replay.
    pub fn random_u64(&self) -> u64 {
        self.port
            .random(8)
            .into_iter()
            .fold(0, |number, byte| number << 8 | u64::from(byte))
    }

    /// Waits, also beyond a restart of the host.
    ///
    /// # Errors
    /// [`Error::Invalid`] if it is longer than the host allows.
    pub fn sleep(&self, duration: Duration) -> Result<(), Error> {
        self.port
            .sleep(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX))
    }
}
