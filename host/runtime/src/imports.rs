//! What the host must implement to run guests, and how it is linked to them.

use crate::bindings::agent::{self, AgentGuest};
use crate::invocation::State;
use crate::wasi::{self, Ambient};
use std::marker::PhantomData;
use wasmtime::Engine;
use wasmtime::component::{HasData, Linker};

/// Everything that guests can import, implemented by the host.
pub trait Imports:
    Ambient
    + agent::mandate::types::types::Host
    + agent::mandate::invoke::invoke::Host
    + agent::mandate::llm::llm::Host
    + agent::mandate::llm_stream::llm_stream::Host
    + agent::mandate::records::records::Host
    + agent::mandate::events::events::Host
    + agent::mandate::human::human::Host
    + agent::mandate::continuation::continuation::Host
    + agent::mandate::telemetry::data::Host
    + agent::mandate::telemetry::query::Host
    + agent::mandate::telemetry::ingest::Host
    + agent::mandate::http::http::Host
    + agent::mandate::system::log::Host
    + agent::mandate::system::progress::Host
    + agent::mandate::system::clock::Host
    + agent::mandate::system::random::Host
    + agent::mandate::system::sleep::Host
{
}

impl<H> Imports for H where
    H: Ambient
        + agent::mandate::types::types::Host
        + agent::mandate::invoke::invoke::Host
        + agent::mandate::llm::llm::Host
        + agent::mandate::llm_stream::llm_stream::Host
        + agent::mandate::records::records::Host
        + agent::mandate::events::events::Host
        + agent::mandate::human::human::Host
        + agent::mandate::continuation::continuation::Host
        + agent::mandate::telemetry::data::Host
        + agent::mandate::telemetry::query::Host
        + agent::mandate::telemetry::ingest::Host
        + agent::mandate::http::http::Host
        + agent::mandate::system::log::Host
        + agent::mandate::system::progress::Host
        + agent::mandate::system::clock::Host
        + agent::mandate::system::random::Host
        + agent::mandate::system::sleep::Host
{
}

struct HasHost<H>(PhantomData<H>);

impl<H: 'static> HasData for HasHost<H> {
    type Data<'a> = &'a mut H;
}

/// A linker with everything that guests of both worlds can import.
///
/// # Errors
/// When two interfaces have one name.
pub(crate) fn linker<H: Imports>(engine: &Engine) -> wasmtime::Result<Linker<State<H>>> {
    let mut linker = Linker::new(engine);
    AgentGuest::add_to_linker::<_, HasHost<H>>(&mut linker, State::host)?;
    wasi::link(&mut linker)?;
    Ok(linker)
}
