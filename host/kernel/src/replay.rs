//! Replay: an invocation runs again by itself over its own journal, in a sandbox whose seam only
//! answers what is recorded. Nothing is asked, written, published, logged or paid for, and no
//! grant is looked at: that it was allowed is on record.

mod compare;
mod recall;
pub mod recording;

pub use compare::{Change, Difference, Side, Verdict};
pub use recall::{Asked, Departure};
pub use recording::{RecordedInvocation, RecordedPackage, Recording, RecordingError};

use crate::capability::Scope;
use crate::catalogue::Active;
use crate::guest::Guest;
use crate::invocation::{Calling, Finished, conclude, run_guest};
use crate::journal::Journal;
use crate::kernel::Kernel;
use crate::loaded::{LoadError, Loaded};
use crate::tree::{Lineage, Tree, TreeStart};
use compare::{cut_off, ended, ended_now, never_ran};
use mandate_plugin::Package;
use mandate_policy::Grant;
use mandate_runtime::Stop;
use mandate_store::{Installation, InstallationStatus};
use mandate_types::{Digest, Effects, GuestKind, InvocationId, LimitName, Limits, PluginName};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// The longest that a guest computes in one replay: it never waits.
const MOST_TIME_MS: u64 = 60_000;
/// The longest that a guest computes after it was cut off in the run that is recorded: it may
/// have been in a loop.
const CUT_OFF_TIME_MS: u64 = 2_000;

/// What came of the replay of one invocation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Replayed {
    /// Which.
    pub invocation: InvocationId,
    /// The installed name of its plugin.
    pub plugin: PluginName,
    /// Agent or tool.
    pub kind: GuestKind,
    /// The tool's name, or the task's kind.
    pub function: String,
    /// The component that was replayed.
    pub digest: Digest,
    /// Whether that is the one that ran then.
    pub pinned: bool,
    /// How many steps are recorded.
    pub steps: u64,
    /// Whether it went the same.
    pub verdict: Verdict,
    /// What is to be said about that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// Where it went differently first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub difference: Option<Difference>,
}

impl Replayed {
    /// One that could not be replayed, and why.
    pub fn not(one: &RecordedInvocation, digest: &Digest, why: impl Into<String>) -> Self {
        Self {
            note: Some(why.into()),
            ..Self::new(one, digest, Verdict::NotReplayed)
        }
    }

    fn new(one: &RecordedInvocation, digest: &Digest, verdict: Verdict) -> Self {
        let invocation = &one.invocation;
        Self {
            invocation: invocation.id.clone(),
            plugin: invocation.plugin.clone(),
            kind: invocation.kind,
            function: invocation.function.clone(),
            digest: digest.clone(),
            pinned: invocation.digest == *digest,
            steps: one.steps.len() as u64,
            verdict,
            note: None,
            difference: None,
        }
    }
}

impl Kernel {
    /// Makes a package ready for replays, without installing it.
    ///
    /// # Errors
    /// [`LoadError`] when something in it is wrong.
    pub async fn prepare(&self, package: &Package) -> Result<Arc<Loaded>, LoadError> {
        if let Some(loaded) = self.ready(&package.digest) {
            return Ok(loaded);
        }
        let loaded = Arc::new(Loaded::load(self.runtime(), package).await?);
        self.keep(&loaded);
        Ok(loaded)
    }

    /// Replays one invocation of `recording` with the component `loaded`.
    pub async fn replay(
        self: &Arc<Self>,
        recording: &Recording,
        one: &RecordedInvocation,
        loaded: &Arc<Loaded>,
        stop: Stop,
    ) -> Replayed {
        let invocation = &one.invocation;
        let not = |why: &str| Replayed::not(one, &loaded.digest, why);
        if never_ran(invocation) {
            return not("it never ran: there was no room for it");
        }
        if invocation.erased {
            return not("the journals of its tenant were erased");
        }
        let Some(seed) = one.seed() else {
            return not("its seed is not 64 hexadecimal digits");
        };
        let known = match invocation.kind {
            GuestKind::Agent => loaded.agent.is_some(),
            GuestKind::Tool => loaded.tools.contains_key(&invocation.function),
        };
        if !known {
            let kind = invocation.kind;
            return not(&format!(
                "the plugin has no {kind} `{}`",
                invocation.function
            ));
        }
        let cut_off = cut_off(invocation);
        let limits = limits(&invocation.limits, cut_off.is_some());
        let tree = Arc::new(Tree::sealed(
            self.store().clone(),
            TreeStart {
                execution: recording.execution.id.clone(),
                task: invocation.task.clone(),
                task_depth: 0,
                task_root: None,
                tenant: invocation.tenant.clone(),
                principal: invocation.principal.clone(),
                subject: invocation.subject.clone(),
                resumed: false,
                stop,
                plugin: invocation.plugin.clone(),
                epoch: recording.execution.lease_epoch,
            },
        ));
        let scope = Scope {
            kernel: self.clone(),
            tree: tree.clone(),
            lineage: Arc::new(Lineage::new(
                invocation.plugin.clone(),
                invocation.kind,
                &limits,
                None,
            )),
            id: invocation.id.clone(),
            plugin: Arc::new(nobody(one, loaded)),
            loaded: loaded.clone(),
            kind: invocation.kind,
            ceiling: Effects::None,
            pledge: None,
            limits: limits.clone(),
        };
        let journal = Journal::sealed(invocation.started_at, one.steps.clone());
        let guest = Guest::new(Arc::new(scope), journal, seed);
        let root = invocation.parent.is_none();
        // As it was then: more executions of the task may have followed.
        let task = recording.task.clone().filter(|_| root).map(|mut task| {
            task.attempts = recording.execution.attempt;
            task
        });
        let calling = Calling {
            tree: &tree,
            kind: invocation.kind,
            function: &invocation.function,
            title: &one.title,
            input: &invocation.input,
            task: task.as_ref(),
            settings: one.settings.to_string(),
        };
        let finished = run_guest(self.runtime(), loaded, guest, &limits, calling).await;
        judged(one, &loaded.digest, cut_off, finished)
    }
}

/// Those of the run, but for time: nobody waits in a replay.
fn limits(pinned: &Limits, cut_off: bool) -> Limits {
    let most = if cut_off {
        CUT_OFF_TIME_MS
    } else {
        MOST_TIME_MS
    };
    Limits {
        time_ms: pinned.time_ms.min(most),
        ..pinned.clone()
    }
}

/// A plugin as it is in a replay: granted nothing.
fn nobody(one: &RecordedInvocation, loaded: &Arc<Loaded>) -> Active {
    let invocation = &one.invocation;
    Active {
        installation: Installation {
            name: invocation.plugin.clone(),
            digest: loaded.digest.clone(),
            previous: None,
            settings: one.settings.clone(),
            grant: Grant::default(),
            status: InstallationStatus::Quarantined,
            installed_at: invocation.started_at,
            updated_at: invocation.started_at,
            updated_by: invocation.principal.clone(),
        },
        loaded: loaded.clone(),
    }
}

fn judged(
    one: &RecordedInvocation,
    digest: &Digest,
    cut_off: Option<String>,
    finished: Finished,
) -> Replayed {
    let invocation = &one.invocation;
    let Finished {
        mut guest, result, ..
    } = finished;
    let verdict = |verdict| Replayed::new(one, digest, verdict);
    let differs = |difference| Replayed {
        difference: Some(difference),
        ..verdict(Verdict::Differs)
    };
    let so_far = |why: &str| Replayed {
        note: Some(why.to_owned()),
        ..verdict(Verdict::SameSoFar)
    };
    if let Some(halted) = guest.halted.take() {
        return Replayed::not(one, digest, halted.to_string());
    }
    let recorded_end = ended(
        invocation.status,
        invocation.result.as_ref(),
        invocation.error.as_ref(),
    );
    if let Some(departure) = guest.journal.departure() {
        let at = Some((departure.sequence, departure.index));
        let asked = Side::Asked(departure.asked);
        return match (departure.recorded, cut_off) {
            // It asked what it had asked, or what comes after all that is recorded.
            (Some(_), Some(why)) if departure.unanswered => so_far(&why),
            (None, Some(why)) => so_far(&why),
            (Some(_), None) if departure.unanswered => Replayed::not(
                one,
                digest,
                "a step that it went on from has no answer in the journal",
            ),
            (Some(recorded), _) => differs(Difference::new(at, Side::Asked(recorded), asked)),
            (None, None) => differs(Difference::new(at, Side::Ended(recorded_end), asked)),
        };
    }
    let timed_out = matches!(
        &result,
        Err(mandate_runtime::End::Limit(hit)) if hit.limit == LimitName::TimeMs
    );
    let (status, report) = conclude(result);
    let end = ended_now(status, &report);
    if let Some(left) = guest.journal.left() {
        let at = Some((left.sequence, left.index));
        let recorded = Side::Asked(Asked::from(left));
        return differs(Difference::new(at, recorded, Side::Ended(end)));
    }
    if end == recorded_end {
        return verdict(Verdict::Same);
    }
    match cut_off {
        Some(why) => so_far(&why),
        None if timed_out => {
            let why = format!(
                "it still computed after {} ms",
                limits(&invocation.limits, false).time_ms
            );
            Replayed::not(one, digest, why)
        }
        None => differs(Difference::new(
            None,
            Side::Ended(recorded_end),
            Side::Ended(end),
        )),
    }
}
