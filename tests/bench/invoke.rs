//! One guest call in a fresh instance, by the host's runtime and by wasmtime alone.

#[path = "../../host/runtime/tests/common/mod.rs"]
#[allow(clippy::unwrap_used, clippy::panic)] // it is a part of tests elsewhere
mod common;

use crate::host;
use crate::report::{Measure, Unit, median};
use anyhow::{Context, ensure};
use common::Fake;
use mandate_runtime::bindings::tool::ToolGuestPre;
use mandate_runtime::bindings::tool_export::Request;
use mandate_runtime::bindings::types::types::Error;
use mandate_runtime::{Component, Runtime, Settings, Stop, config};
use mandate_types::{Digest, GuestKind, Limits};
use std::sync::Arc;
use std::time::{Duration, Instant};
use wasmtime::component::Linker;
use wasmtime::{Engine, Store};

const WARM: usize = 500;

/// Both sides, ready to be called.
struct Sides {
    runtime: Runtime<Fake>,
    component: Component<Fake>,
    limits: Limits,
    engine: Engine,
    pre: ToolGuestPre<()>,
}

/// What is asked: to count the words of a sentence, in JSON and back.
fn request() -> Request {
    Request {
        name: "word-count".to_owned(),
        arguments: r#"{"text":"to be or not to be, that is the question"}"#.to_owned(),
        tenant: "default".to_owned(),
        task: None,
        subject: None,
        settings: "{}".to_owned(),
    }
}

impl Sides {
    async fn new() -> anyhow::Result<Arc<Self>> {
        let wasm = std::fs::read(host::plugin("text")?)?;
        let settings = Settings::default();
        let engine = Engine::new(&config(&settings)).map_err(plain)?;
        let runtime = Runtime::new(settings)?;
        let component = runtime
            .compile(&Digest::of(&wasm), GuestKind::Tool, &wasm)
            .await?;
        let pre = Self::link(&engine, &wasm).map_err(plain)?;
        let limits = Limits::default();
        let sides = Arc::new(Self {
            runtime,
            component,
            limits,
            engine,
            pre,
        });
        let (host, floor) = (sides.host().await?, sides.floor().await?);
        ensure!(
            host == floor,
            "the runtime answers {host}, wasmtime {floor}"
        );
        Ok(sides)
    }

    /// By the host's runtime, with all that it bounds and watches.
    async fn host(&self) -> anyhow::Result<String> {
        let call = self.runtime.call_tool(
            &self.component,
            Fake::default(),
            &self.limits,
            Stop::new(),
            request(),
        );
        call.await
            .outcome?
            .map_err(|error| anyhow::anyhow!("the tool failed: {error:?}"))
    }

    fn link(engine: &Engine, wasm: &[u8]) -> wasmtime::Result<ToolGuestPre<()>> {
        let component = wasmtime::component::Component::new(engine, wasm)?;
        let mut linker = Linker::new(engine);
        // What the tool asks for is not needed to count.
        linker.define_unknown_imports_as_traps(&component)?;
        ToolGuestPre::new(linker.instantiate_pre(&component)?)
    }

    /// By wasmtime alone.
    async fn floor(&self) -> anyhow::Result<String> {
        self.bare()
            .await
            .map_err(plain)?
            .map_err(|error| anyhow::anyhow!("the tool failed: {error:?}"))
    }

    /// Instantiates, calls, drops.
    async fn bare(&self) -> wasmtime::Result<Result<String, Error>> {
        let mut store = Store::new(&self.engine, ());
        // Nothing ticks here; without a deadline the first check would trap.
        store.set_epoch_deadline(1 << 40);
        let guest = self.pre.instantiate_async(&mut store).await?;
        guest
            .mandate_tool_tool()
            .call_call(&mut store, &request())
            .await
    }
}

/// wasmtime's error keeps its chain in its text only.
fn plain(error: wasmtime::Error) -> anyhow::Error {
    anyhow::anyhow!("{error:#}")
}

#[derive(Clone, Copy)]
enum Side {
    Host,
    Floor,
}

async fn call(sides: &Sides, side: Side) -> anyhow::Result<()> {
    match side {
        Side::Host => sides.host().await.map(drop),
        Side::Floor => sides.floor().await.map(drop),
    }
}

/// The times of `count` calls, one after the other, in microseconds.
async fn times(sides: &Sides, side: Side, count: usize) -> anyhow::Result<Vec<f64>> {
    let mut times = Vec::with_capacity(count);
    for _ in 0..count {
        let began = Instant::now();
        call(sides, side).await?;
        times.push(micros(began.elapsed()));
    }
    Ok(times)
}

fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

/// One at a time: the median of single calls, both on the same thread by turns.
///
/// # Errors
/// When a call fails.
pub fn one() -> anyhow::Result<Measure> {
    with_sides(|sides| async move {
        times(&sides, Side::Floor, WARM).await?;
        times(&sides, Side::Host, WARM).await?;
        let (mut floors, mut values) = (Vec::new(), Vec::new());
        for _ in 0..100 {
            floors.extend(times(&sides, Side::Floor, 100).await?);
            values.extend(times(&sides, Side::Host, 100).await?);
        }
        Ok((median(values)?, median(floors)?))
    })
}

/// By wasmtime alone, one at a time: the median of calls, in microseconds.
///
/// # Errors
/// When a call fails.
pub async fn bare_call() -> anyhow::Result<f64> {
    let sides = Sides::new().await?;
    let measured = sides.clone();
    let measuring = async move {
        times(&measured, Side::Floor, WARM).await?;
        median(times(&measured, Side::Floor, 10_000).await?)
    };
    let measured = sides.runtime.spawn(measuring).await;
    measured.context("the measurement ended")?
}

const AT_ONCE: usize = 64;
const EACH: usize = 25;
const ROUNDS: usize = 25;

/// 64 at once: the time that each takes of the whole, the median of rounds by turns.
///
/// # Errors
/// When a call fails.
pub fn many() -> anyhow::Result<Measure> {
    with_sides(|sides| async move {
        let (mut floors, mut values) = (Vec::new(), Vec::new());
        for round in 0..=ROUNDS {
            let floor = at_once(&sides, Side::Floor).await?;
            let value = at_once(&sides, Side::Host).await?;
            // The first one warms up.
            if round > 0 {
                floors.push(floor);
                values.push(value);
            }
        }
        Ok((median(values)?, median(floors)?))
    })
}

async fn at_once(sides: &Arc<Sides>, side: Side) -> anyhow::Result<f64> {
    let began = Instant::now();
    let tasks: Vec<_> = (0..AT_ONCE)
        .map(|_| {
            let sides = sides.clone();
            let this = sides.clone();
            sides.runtime.spawn(async move {
                for _ in 0..EACH {
                    call(&this, side).await?;
                    // As a guest that waits for something gives its thread to the others.
                    tokio::task::yield_now().await;
                }
                anyhow::Ok(())
            })
        })
        .collect();
    for task in tasks {
        task.await??;
    }
    Ok(micros(began.elapsed()) / (AT_ONCE * EACH) as f64)
}

/// Measures on the threads of guests, where both sides have the same surroundings.
fn with_sides<F>(measure: impl FnOnce(Arc<Sides>) -> F) -> anyhow::Result<Measure>
where
    F: Future<Output = anyhow::Result<(f64, f64)>> + Send + 'static,
{
    host::on_one_thread(async {
        let sides = Sides::new().await?;
        let measuring = measure(sides.clone());
        let (value, floor) = sides
            .runtime
            .spawn(measuring)
            .await
            .context("the measurement ended")??;
        Ok(Measure {
            unit: Unit::Microseconds,
            value,
            floor: Some(floor),
        })
    })
}
