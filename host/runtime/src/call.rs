//! One call under supervision: it ends when its time is over, when it is stopped, or by itself,
//! and the host implementation comes back in each case.

use crate::hurry::Hurry;
use crate::invocation::{End, Ended, State, end_of, limit};
use crate::stop::Stop;
use crate::stopwatch::Stopwatch;
use crate::wasi::Ambient;
use futures::FutureExt;
use futures::future::BoxFuture;
use mandate_types::{LimitName, Limits};
use std::panic::AssertUnwindSafe;
use std::time::{Duration, Instant};
use tokio::runtime::Handle;
use wasmtime::{Store, UpdateDeadline};

tokio::task_local! {
    /// Set where a guest is below on the same task.
    static IN_CALL: ();
}

/// What is done with a fresh store: instantiate, call, check.
pub(crate) trait Work<A: 'static, T>:
    for<'a> FnOnce(&'a mut Store<State<A>>) -> BoxFuture<'a, wasmtime::Result<T>> + Send + 'static
{
}

impl<A: 'static, T, W> Work<A, T> for W where
    W: for<'a> FnOnce(&'a mut Store<State<A>>) -> BoxFuture<'a, wasmtime::Result<T>>
        + Send
        + 'static
{
}

/// Whether a call can go on the present task: it is one of the guests' threads, and no guest is
/// below it. Children of a guest get tasks of their own, so that they run in parallel.
pub(crate) fn may_run_here(guests: &Handle) -> bool {
    Handle::try_current().is_ok_and(|current| current.id() == guests.id())
        && IN_CALL.try_with(|()| ()).is_err()
}

/// What ends a guest from outside.
pub(crate) struct Ends {
    pub(crate) stop: Stop,
    pub(crate) watch: Stopwatch,
    /// While others are to be stopped, it has no turn.
    pub(crate) hurry: Hurry,
}

/// Does `work` in `store`, bounded by `limits` and ended by `ends`.
pub(crate) async fn supervise<A, T, W>(
    mut store: Store<State<A>>,
    limits: Limits,
    ends: Ends,
    stack_bytes: usize,
    work: W,
) -> Ended<A, T>
where
    A: Ambient,
    T: Send + 'static,
    W: Work<A, T>,
{
    let started = Instant::now();
    bound(&mut store, &limits);
    let outcome = {
        let guest = IN_CALL.scope((), AssertUnwindSafe(work(&mut store)).catch_unwind());
        let guest = ends.hurry.gives_way(guest);
        tokio::select! {
            biased;
            reason = ends.stop.stopped() => Err(End::Stopped(reason)),
            () = ends.watch.reaches(Duration::from_millis(limits.time_ms)) => {
                Err(limit(LimitName::TimeMs, limits.time_ms))
            }
            outcome = guest => match outcome {
                Ok(Ok(answer)) => Ok(answer),
                Ok(Err(error)) => Err(end_of(&error, &limits, stack_bytes)),
                Err(_) => Err(End::Trap(
                    "the host failed while it served the guest; its log says why".to_owned(),
                )),
            },
        }
    };
    let mut state = store.into_data();
    state.drain(true);
    Ended {
        outcome: match state.ended {
            Some(end) => Err(end),
            None => outcome,
        },
        host: state.host,
        peak_memory_bytes: state.limiter.peak(),
        elapsed: started.elapsed(),
    }
}

/// Sets what bounds the guest of `store` while it computes.
fn bound<A: Ambient>(store: &mut Store<State<A>>, limits: &Limits) {
    store.limiter(|state| &mut state.limiter);
    // One allowance serves both ways; a result above its own limit is refused when it is here.
    let bytes = limits.argument_bytes.max(limits.result_bytes);
    store.set_hostcall_fuel(usize::try_from(bytes).unwrap_or(usize::MAX));
    store.set_epoch_deadline(1);
    store.epoch_deadline_callback(|mut store| {
        let state = store.data_mut();
        state.drain(false);
        match state.ended.take() {
            Some(end) => Err(end.into()),
            // Yielding gives the threads to others, and the clock and `Stop` their chance.
            None => Ok(UpdateDeadline::Yield(1)),
        }
    });
}

pub(crate) fn check_result(bytes: usize, most: u64) -> wasmtime::Result<()> {
    if bytes as u64 > most {
        return Err(limit(LimitName::ResultBytes, most).into());
    }
    Ok(())
}

/// A guest whose caller is gone has nobody to answer to.
pub(crate) struct AbortOnDrop<T>(pub(crate) tokio::task::JoinHandle<T>);

impl<T> Future for AbortOnDrop<T> {
    type Output = Result<T, tokio::task::JoinError>;

    fn poll(
        mut self: std::pin::Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Self::Output> {
        self.0.poll_unpin(context)
    }
}

impl<T> Drop for AbortOnDrop<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}
