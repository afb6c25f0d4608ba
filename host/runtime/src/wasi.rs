//! WASI 0.2 as a guest sees it here: inert and deterministic.
//!
//! Clock, random and output come from and go to the host; waiting takes virtual time only; there
//! are no files, no environment, no arguments. Sockets and HTTP are not linked at all.

use crate::invocation::{End, State};
use crate::output::{Output, Pipe, Stream};
use crate::stopwatch::Stopwatch;
use std::marker::PhantomData;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use wasmtime::component::{HasData, Linker, Resource, ResourceTable};
use wasmtime_wasi::cli::{WasiCli, WasiCliView};
use wasmtime_wasi::filesystem::{WasiFilesystem, WasiFilesystemView};
use wasmtime_wasi::p2::bindings::clocks::{monotonic_clock, wall_clock};
use wasmtime_wasi::p2::bindings::random::{insecure, insecure_seed, random};
use wasmtime_wasi::p2::bindings::{cli, filesystem, io};
use wasmtime_wasi::p2::{DynOutputStream, DynPollable, Pollable, subscribe};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

/// Handles that a guest may hold at a time: pollables, streams, errors.
const MAX_HANDLES: usize = 10_000;
/// Random bytes that a guest may ask for at a time.
const MAX_RANDOM_BYTES: u64 = 1 << 20;

/// What surrounds every guest: time, chance, and where its output goes. The host implements it so
/// that a replay sees the same.
pub trait Ambient: Send + 'static {
    /// Microseconds since 1970, as the guest's wall clock shows them; never less than before.
    fn wasi_now(&mut self) -> u64;
    /// Fills `buffer` with what the guest takes for random bytes.
    fn wasi_random(&mut self, buffer: &mut [u8]);
    /// Takes a line that the guest wrote, without its end.
    ///
    /// # Errors
    /// An [`End`] ends the guest, at the latest with the next tick.
    fn wasi_output(&mut self, stream: Stream, line: &str) -> Result<(), End>;
    /// What measures the call against its limit on time.
    fn stopwatch(&self) -> Stopwatch {
        Stopwatch::after(Duration::ZERO)
    }
}

/// The state of one guest's WASI, made when it is first used: most guests never do.
pub(crate) struct Wasi {
    table: ResourceTable,
    ctx: WasiCtx,
    /// Nanoseconds of virtual time that the guest has slept.
    slept: Arc<AtomicU64>,
    output: Arc<Mutex<Output>>,
}

impl Wasi {
    pub(crate) fn new(log_bytes: u64) -> Self {
        let mut table = ResourceTable::new();
        table.set_max_capacity(MAX_HANDLES);
        let output = Output::new(log_bytes);
        Self {
            table,
            ctx: WasiCtx::builder().build(),
            slept: Arc::new(AtomicU64::new(0)),
            output: Arc::new(Mutex::new(output)),
        }
    }

    /// Hands finished lines to the host; at the `last` call, unfinished ones too.
    pub(crate) fn drain<H: Ambient>(&mut self, host: &mut H, last: bool) -> Result<(), End> {
        let lines = self
            .output
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take(last);
        for (stream, line) in lines {
            host.wasi_output(stream, &String::from_utf8_lossy(&line))?;
        }
        Ok(())
    }
}

/// A point of virtual time: whoever waits for it is there.
struct Deadline {
    /// Nanoseconds of virtual sleep at which it is reached.
    at: u64,
    slept: Arc<AtomicU64>,
}

#[wasmtime_wasi::async_trait]
impl Pollable for Deadline {
    async fn ready(&mut self) {
        self.slept.fetch_max(self.at, Ordering::Relaxed);
    }
}

/// The host and its guest's WASI, side by side.
pub(crate) struct View<'a, H> {
    host: &'a mut H,
    wasi: &'a mut Wasi,
}

/// Says that [`View`] is what the implementations below work on.
struct HasView<H>(PhantomData<H>);

impl<H: Ambient> HasData for HasView<H> {
    type Data<'a> = View<'a, H>;
}

struct HasTable;

impl HasData for HasTable {
    type Data<'a> = &'a mut ResourceTable;
}

impl<H: Ambient> State<H> {
    fn view(&mut self) -> View<'_, H> {
        let log_bytes = self.log_bytes;
        View {
            host: &mut self.host,
            wasi: self
                .wasi
                .get_or_insert_with(|| Box::new(Wasi::new(log_bytes))),
        }
    }
}

impl<H: Ambient> WasiView for State<H> {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        let wasi = self.view().wasi;
        WasiCtxView {
            ctx: &mut wasi.ctx,
            table: &mut wasi.table,
        }
    }
}

impl<H: Ambient> View<'_, H> {
    /// Nanoseconds since 1970.
    fn now(&mut self) -> u64 {
        let slept = self.wasi.slept.load(Ordering::Relaxed);
        self.host
            .wasi_now()
            .saturating_mul(1_000)
            .saturating_add(slept)
    }

    fn after(&mut self, nanoseconds: u64) -> wasmtime::Result<Resource<DynPollable>> {
        let slept = Arc::clone(&self.wasi.slept);
        let at = slept.load(Ordering::Relaxed).saturating_add(nanoseconds);
        let deadline = self.wasi.table.push(Deadline { at, slept })?;
        subscribe(&mut self.wasi.table, deadline)
    }

    fn random(&mut self, length: u64) -> wasmtime::Result<Vec<u8>> {
        if length > MAX_RANDOM_BYTES {
            wasmtime::bail!(
                "asked for {length} random bytes at once, more than {MAX_RANDOM_BYTES}"
            );
        }
        let mut bytes = vec![0; usize::try_from(length)?];
        self.host.wasi_random(&mut bytes);
        Ok(bytes)
    }

    fn random_u64(&mut self) -> u64 {
        let mut bytes = [0; 8];
        self.host.wasi_random(&mut bytes);
        u64::from_le_bytes(bytes)
    }

    fn pipe(&mut self, stream: Stream) -> wasmtime::Result<Resource<DynOutputStream>> {
        let pipe: DynOutputStream = Box::new(Pipe::new(stream, Arc::clone(&self.wasi.output)));
        Ok(self.wasi.table.push(pipe)?)
    }
}

impl<H: Ambient> wall_clock::Host for View<'_, H> {
    fn now(&mut self) -> wasmtime::Result<wall_clock::Datetime> {
        let now = View::now(self);
        let nanoseconds = u32::try_from(now % 1_000_000_000)?;
        Ok(wall_clock::Datetime {
            seconds: now / 1_000_000_000,
            nanoseconds,
        })
    }

    fn resolution(&mut self) -> wasmtime::Result<wall_clock::Datetime> {
        Ok(wall_clock::Datetime {
            seconds: 0,
            nanoseconds: 1_000,
        })
    }
}

impl<H: Ambient> monotonic_clock::Host for View<'_, H> {
    fn now(&mut self) -> wasmtime::Result<u64> {
        Ok(View::now(self))
    }

    fn resolution(&mut self) -> wasmtime::Result<u64> {
        Ok(1_000)
    }

    fn subscribe_instant(&mut self, when: u64) -> wasmtime::Result<Resource<DynPollable>> {
        let now = View::now(self);
        self.after(when.saturating_sub(now))
    }

    fn subscribe_duration(&mut self, when: u64) -> wasmtime::Result<Resource<DynPollable>> {
        self.after(when)
    }
}

impl<H: Ambient> random::Host for View<'_, H> {
    fn get_random_bytes(&mut self, len: u64) -> wasmtime::Result<Vec<u8>> {
        self.random(len)
    }

    fn get_random_u64(&mut self) -> wasmtime::Result<u64> {
        Ok(self.random_u64())
    }
}

impl<H: Ambient> insecure::Host for View<'_, H> {
    fn get_insecure_random_bytes(&mut self, len: u64) -> wasmtime::Result<Vec<u8>> {
        self.random(len)
    }

    fn get_insecure_random_u64(&mut self) -> wasmtime::Result<u64> {
        Ok(self.random_u64())
    }
}

impl<H: Ambient> insecure_seed::Host for View<'_, H> {
    fn insecure_seed(&mut self) -> wasmtime::Result<(u64, u64)> {
        Ok((self.random_u64(), self.random_u64()))
    }
}

impl<H: Ambient> cli::stdout::Host for View<'_, H> {
    fn get_stdout(&mut self) -> wasmtime::Result<Resource<DynOutputStream>> {
        self.pipe(Stream::Stdout)
    }
}

impl<H: Ambient> cli::stderr::Host for View<'_, H> {
    fn get_stderr(&mut self) -> wasmtime::Result<Resource<DynOutputStream>> {
        self.pipe(Stream::Stderr)
    }
}

impl<H: Ambient> io::poll::Host for View<'_, H> {
    async fn poll(&mut self, list: Vec<Resource<DynPollable>>) -> wasmtime::Result<Vec<u32>> {
        let mut ready = io::poll::Host::poll(&mut self.wasi.table, list).await?;
        // In the order of the list, whatever order the handles have.
        ready.sort_unstable();
        Ok(ready)
    }
}

impl<H: Ambient> io::poll::HostPollable for View<'_, H> {
    async fn block(&mut self, pollable: Resource<DynPollable>) -> wasmtime::Result<()> {
        io::poll::HostPollable::block(&mut self.wasi.table, pollable).await
    }

    async fn ready(&mut self, pollable: Resource<DynPollable>) -> wasmtime::Result<bool> {
        io::poll::HostPollable::ready(&mut self.wasi.table, pollable).await
    }

    fn drop(&mut self, pollable: Resource<DynPollable>) -> wasmtime::Result<()> {
        io::poll::HostPollable::drop(&mut self.wasi.table, pollable)
    }
}

/// Gives `linker` the interfaces above, and nothing else of WASI.
///
/// # Errors
/// When an interface is linked already.
pub(crate) fn link<H: Ambient>(linker: &mut Linker<State<H>>) -> wasmtime::Result<()> {
    type S<H> = State<H>;
    let l = linker;
    wall_clock::add_to_linker::<_, HasView<H>>(l, S::view)?;
    monotonic_clock::add_to_linker::<_, HasView<H>>(l, S::view)?;
    random::add_to_linker::<_, HasView<H>>(l, S::view)?;
    insecure::add_to_linker::<_, HasView<H>>(l, S::view)?;
    insecure_seed::add_to_linker::<_, HasView<H>>(l, S::view)?;
    cli::stdout::add_to_linker::<_, HasView<H>>(l, S::view)?;
    cli::stderr::add_to_linker::<_, HasView<H>>(l, S::view)?;
    io::poll::add_to_linker::<_, HasView<H>>(l, S::view)?;
    io::error::add_to_linker::<_, HasTable>(l, |state| &mut state.view().wasi.table)?;
    io::streams::add_to_linker::<_, HasTable>(l, |state| &mut state.view().wasi.table)?;
    cli::stdin::add_to_linker::<_, WasiCli>(l, S::cli)?;
    cli::exit::add_to_linker::<_, WasiCli>(l, S::cli)?;
    cli::environment::add_to_linker::<_, WasiCli>(l, S::cli)?;
    cli::terminal_input::add_to_linker::<_, WasiCli>(l, S::cli)?;
    cli::terminal_output::add_to_linker::<_, WasiCli>(l, S::cli)?;
    cli::terminal_stdin::add_to_linker::<_, WasiCli>(l, S::cli)?;
    cli::terminal_stdout::add_to_linker::<_, WasiCli>(l, S::cli)?;
    cli::terminal_stderr::add_to_linker::<_, WasiCli>(l, S::cli)?;
    filesystem::types::add_to_linker::<_, WasiFilesystem>(l, S::filesystem)?;
    filesystem::preopens::add_to_linker::<_, WasiFilesystem>(l, S::filesystem)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Default)]
    struct Log(Vec<(Stream, String)>);

    impl Ambient for Log {
        fn wasi_now(&mut self) -> u64 {
            1
        }
        fn wasi_random(&mut self, buffer: &mut [u8]) {
            buffer.fill(7);
        }
        fn wasi_output(&mut self, stream: Stream, line: &str) -> Result<(), End> {
            self.0.push((stream, line.to_owned()));
            Ok(())
        }
    }

    #[test]
    fn output_arrives_in_lines_and_the_rest_at_the_end() {
        let (mut host, mut wasi) = (Log::default(), Wasi::new(100));
        wasi.output
            .lock()
            .unwrap()
            .write(Stream::Stdout, b"one\ntwo\nth")
            .unwrap();
        wasi.output
            .lock()
            .unwrap()
            .write(Stream::Stderr, b"oops")
            .unwrap();
        wasi.drain(&mut host, false).unwrap();
        assert_eq!(host.0.len(), 2);
        wasi.output
            .lock()
            .unwrap()
            .write(Stream::Stdout, b"ree")
            .unwrap();
        wasi.drain(&mut host, true).unwrap();
        assert_eq!(host.0[2], (Stream::Stdout, "three".to_owned()));
        assert_eq!(host.0[3], (Stream::Stderr, "oops".to_owned()));
    }

    #[test]
    fn waiting_takes_virtual_time_only() {
        let (mut host, mut wasi) = (Log::default(), Wasi::new(10));
        let mut view = View {
            host: &mut host,
            wasi: &mut wasi,
        };
        let before = view.now();
        let hour = 3_600_000_000_000;
        let pollable = monotonic_clock::Host::subscribe_duration(&mut view, hour).unwrap();
        assert_eq!(view.now(), before);
        futures::executor::block_on(io::poll::HostPollable::block(&mut view, pollable)).unwrap();
        assert_eq!(view.now(), before + hour);
    }
}
