//! Named points at which the process can be made to die, so that tests kill it exactly there.
//!
//! Of our own, because it must abort at the nth passing of a point in the very binary that is
//! shipped, and cost one relaxed load where it is not armed.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

/// Every point, in the order in which an effect passes them.
pub const POINTS: &[&str] = &[
    "execution.started",
    "decision.before_create",
    "decision.after_create",
    "park.before_commit",
    "park.after_commit",
    "intent.before_commit",
    "intent.after_commit",
    "http.before_send",
    "http.after_answer",
    "effect.before_answer",
    "effect.after_answer",
    "answer.before_commit",
    "answer.after_commit",
    "invocation.before_end",
    "execution.before_end",
    "execution.after_end",
    "resume.taken",
];

struct Armed {
    name: String,
    left: AtomicU32,
}

static ARMED: OnceLock<Option<Armed>> = OnceLock::new();

/// Arms the point that `MANDATE_CRASH_POINT` names: `name`, or `name:3` for the third passing.
/// Called once, before anything runs.
///
/// # Errors
/// The names that there are, when it names none of them.
pub fn arm(setting: Option<&str>) -> Result<(), String> {
    let armed = match setting {
        None => None,
        Some(text) => {
            let (name, nth) = text.split_once(':').unwrap_or((text, "1"));
            let nth: u32 = nth
                .parse()
                .map_err(|_| format!("MANDATE_CRASH_POINT: `{nth}` is not a number"))?;
            if !POINTS.contains(&name) {
                return Err(format!(
                    "MANDATE_CRASH_POINT: there is no point `{name}`; there are {}",
                    POINTS.join(", ")
                ));
            }
            Some(Armed {
                name: name.to_owned(),
                left: AtomicU32::new(nth.max(1)),
            })
        }
    };
    // The first setting stays.
    let _ = ARMED.set(armed);
    Ok(())
}

/// Dies here, without unwinding or flushing, if this point is armed and it is its turn.
pub fn point(name: &str) {
    if let Some(Some(armed)) = ARMED.get()
        && armed.name == name
        && armed.left.fetch_sub(1, Ordering::Relaxed) == 1
    {
        std::process::abort();
    }
}
