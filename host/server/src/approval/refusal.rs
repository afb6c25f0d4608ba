//! Why an answer is not taken. Each reason is a problem of its own that says what to do.

use mandate_store::{Decision, Principal};
use mandate_types::{DecisionStatus, PrincipalName, Problem, TaskId, Timestamp};

/// Why nobody can answer `decision` at `now`; none if somebody can.
pub fn of(decision: &Decision, now: Timestamp) -> Option<Problem> {
    let id = &decision.id;
    let over = decision.expires_at.filter(|end| *end <= now);
    match (decision.status, over) {
        (DecisionStatus::Pending, None) => None,
        (DecisionStatus::Pending, Some(end)) => Some(expired(decision, end)),
        (DecisionStatus::Expired, _) => {
            let end = decision.expires_at.or(decision.resolved_at).unwrap_or(now);
            Some(expired(decision, end))
        }
        (DecisionStatus::Withdrawn, _) => Some(conflict(
            "decision-withdrawn",
            "The decision was withdrawn",
            format!(
                "what was asked changed, or its execution ended, so nothing is decided by {id} any more; GET /api/v1/decisions?status=pending lists what is open"
            ),
        )),
        (DecisionStatus::DryRun, _) => Some(conflict(
            "decision-dry-run",
            "The decision is not to be answered",
            format!(
                "the plugin of `{}` runs dry: the decision was judged only, and nothing happens by it",
                decision.request.tool
            ),
        )),
        (
            DecisionStatus::Approved
            | DecisionStatus::Denied
            | DecisionStatus::Executing
            | DecisionStatus::Done
            | DecisionStatus::Failed,
            _,
        ) => Some(answered(decision)),
    }
}

fn answered(decision: &Decision) -> Problem {
    let said = if decision.status == DecisionStatus::Denied {
        "denied"
    } else {
        "approved"
    };
    let when = decision
        .resolved_at
        .map(|at| format!(" at {at}"))
        .unwrap_or_default();
    let who = match &decision.resolved_by {
        Some(human) => format!("`{human}`"),
        None => format!("policy, by its rule `{}`,", decision.request.rule),
    };
    conflict(
        "decision-answered",
        "The decision is answered already",
        format!(
            "{who} {said} it{when}; an answer stands. GET /api/v1/decisions/{} shows what came of it",
            decision.id
        ),
    )
}

fn expired(decision: &Decision, end: Timestamp) -> Problem {
    conflict(
        "decision-expired",
        "The decision has expired",
        format!(
            "its time was over at {end}, and so it is denied; POST /api/v1/decisions/{}/ask-again asks again where that can still be done",
            decision.id
        ),
    )
}

/// What would happen is not what was asked.
pub fn changed(decision: &Decision, what: &str) -> Problem {
    conflict(
        "decision-changed",
        "What was asked has changed",
        format!(
            "{what} changed after this was asked, so {} is withdrawn and `{}` is judged anew; GET /api/v1/decisions?status=pending lists what is asked now",
            decision.id, decision.request.tool
        ),
    )
}

fn conflict(slug: &str, title: &str, detail: String) -> Problem {
    Problem::new(409, slug, title, detail)
}

/// Only what has expired is asked again.
pub fn not_expired(decision: &Decision) -> Problem {
    conflict(
        "decision-not-expired",
        "The decision has not expired",
        format!(
            "{} is {}, and only what has expired is asked again",
            decision.id, decision.status
        ),
    )
}

/// A client's call has ended with the denial.
pub fn call_ended(decision: &Decision) -> Problem {
    over(format!(
        "the call ended when its time was over; POST /api/v1/tools/{}/call asks again",
        decision.request.tool
    ))
}

/// The task has ended, or began anew.
pub fn task_ended(decision: &Decision) -> Problem {
    let task = decision.request.task.as_ref();
    let task = task.map_or_else(|| "TASK".to_owned(), ToString::to_string);
    over(format!(
        "the execution that asked has ended; POST /api/v1/tasks/{task}/execute makes the task ask again"
    ))
}

/// Who asked was told no and goes on with that.
pub fn went_on(decision: &Decision, task: &TaskId) -> Problem {
    over(format!(
        "`{}` was told that nobody let it happen, and goes on without; when the task has ended, POST /api/v1/tasks/{task}/execute makes it ask again",
        decision
            .request
            .plugin
            .as_ref()
            .map_or("who asked", |plugin| plugin.as_str())
    ))
}

fn over(detail: String) -> Problem {
    conflict("decision-over", "Nobody asks for this any more", detail)
}

/// Whether a plugin of this name wants the effect, or has it.
pub fn is_part_of(decision: &Decision, name: &PrincipalName) -> bool {
    let request = &decision.request;
    let provider = request.tool.split_once('.').map(|(plugin, _)| plugin);
    request
        .chain
        .iter()
        .chain(&request.plugin)
        .map(AsRef::as_ref)
        .chain(provider)
        .any(|plugin: &str| plugin == name.as_str())
}

/// A plugin does not approve what it wants itself, under whatever token.
pub fn plugin(decision: &Decision, by: &PrincipalName) -> Problem {
    Problem::new(
        403,
        "self-approval",
        "Who asks does not approve",
        format!(
            "`{by}` is the name of a plugin that has part in {}; another principal has to answer",
            decision.id
        ),
    )
}

/// Who is at the root of the causes does not approve.
pub fn requester(by: &Principal, because: &str) -> Problem {
    Problem::new(
        403,
        "self-approval",
        "Who asks does not approve",
        format!(
            "`{}` is at the root of what asks for this, and {because}; POST /api/v1/tokens makes a token with the role approver",
            by.name
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::approval::tests::decision;

    fn at(micros: i64) -> Timestamp {
        Timestamp::from_micros(micros)
    }

    #[test]
    fn only_a_live_pending_decision_can_be_answered() {
        let mut asked = decision();
        asked.expires_at = Some(at(100));
        assert_eq!(of(&asked, at(99)), None);
        let slug = |decision: &Decision, now| of(decision, at(now)).unwrap().kind;
        // To the microsecond, also before anybody wrote that down.
        assert!(slug(&asked, 100).ends_with(":decision-expired"));
        for status in DecisionStatus::ALL {
            asked.status = *status;
            let expected = match status {
                DecisionStatus::Pending => continue,
                DecisionStatus::Expired => ":decision-expired",
                DecisionStatus::Withdrawn => ":decision-withdrawn",
                DecisionStatus::DryRun => ":decision-dry-run",
                _ => ":decision-answered",
            };
            assert!(slug(&asked, 50).ends_with(expected), "{status}");
        }
    }

    #[test]
    fn who_answered_is_named() {
        let mut asked = decision();
        asked.status = DecisionStatus::Executing;
        asked.resolved_by = Some(PrincipalName::parse("bob").unwrap());
        assert!(of(&asked, at(1)).unwrap().detail.contains("`bob` approved"));
        asked.status = DecisionStatus::Denied;
        asked.resolved_by = None;
        let detail = of(&asked, at(1)).unwrap().detail;
        assert!(
            detail.contains("policy") && detail.contains("`level-3`") && detail.contains("denied")
        );
    }

    #[test]
    fn plugins_of_the_chain_have_part() {
        let asked = decision();
        let part = |name: &str| is_part_of(&asked, &PrincipalName::parse(name).unwrap());
        assert!(part("commander") && part("remediation") && part("actions"));
        assert!(!part("ann") && !part("action"));
    }
}
