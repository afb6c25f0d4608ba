//! Writes of an execution that wait for its next commit.

use super::Halted;
use mandate_store::{Step, StepAnswer, Write};
use mandate_types::StepState;
use std::time::Instant;

/// Writes that wait for the next commit. They go out in order, and together.
#[derive(Default)]
pub(super) struct Buffer {
    pub(super) writes: Vec<Write>,
    pub(super) flushed: Option<Instant>,
    /// Once a commit failed nothing more is written: what is on disk stays a prefix.
    pub(super) broken: Option<Halted>,
}

impl Buffer {
    /// Keeps a write. The end of an invocation goes into its start if that is still waiting:
    /// then its row is written once, together with many others.
    pub(super) fn keep(&mut self, write: Write) {
        let Write::EndInvocation { id, ending } = write else {
            self.writes.push(write);
            return;
        };
        let waiting = self.writes.iter_mut().rev().find_map(|write| match write {
            Write::StartInvocation(row) if row.id == id => Some(row),
            _ => None,
        });
        match waiting {
            Some(row) => {
                row.status = ending.status;
                row.result = ending.result;
                row.error = ending.error;
                row.ended_at = Some(ending.ended_at);
                row.steps = ending.steps;
                row.peak_memory_bytes = ending.peak_memory_bytes;
                row.cost_micro_usd = ending.cost_micro_usd;
            }
            None => self.writes.push(Write::EndInvocation { id, ending }),
        }
    }

    /// Keeps an answer: in the step itself if that is still waiting, so that the journal is
    /// written once.
    pub(super) fn answer(&mut self, answer: StepAnswer) {
        let waiting = self.writes.iter_mut().rev().find_map(|write| match write {
            Write::Step(step) if is_for(step, &answer) => Some(step),
            _ => None,
        });
        match waiting {
            Some(step) => {
                step.state = StepState::Answered;
                step.answer = Some(answer.answer);
                step.refused = answer.refused;
                step.cost_micro_usd = answer.cost_micro_usd;
                step.answered_at = Some(answer.answered_at);
                step.active_us = answer.active_us.or(step.active_us);
            }
            None => self.writes.push(Write::AnswerStep(Box::new(answer))),
        }
    }
}

fn is_for(step: &Step, answer: &StepAnswer) -> bool {
    step.sequence == answer.sequence
        && step.index == answer.index
        && step.invocation == answer.invocation
}

#[cfg(test)]
mod tests {
    use super::super::samples::invocation;
    use super::*;
    use mandate_store::{Ending, Invocation};
    use mandate_types::{InvocationId, InvocationStatus, MicroUsd, TenantId, Timestamp};

    fn end(id: &InvocationId) -> Write {
        let ending = Ending {
            tenant: TenantId::default(),
            status: InvocationStatus::Succeeded,
            result: Some(serde_json::json!(7)),
            error: None,
            ended_at: Timestamp::from_micros(5),
            steps: 2,
            peak_memory_bytes: 3,
            cost_micro_usd: MicroUsd(4),
        };
        Write::EndInvocation {
            id: id.clone(),
            ending: Box::new(ending),
        }
    }

    #[test]
    fn an_end_goes_into_its_own_start_that_waits() {
        let (ended, running) = (invocation(), invocation());
        let mut buffer = Buffer::default();
        buffer.keep(Write::StartInvocation(Box::new(ended.clone())));
        buffer.keep(Write::StartInvocation(Box::new(running.clone())));
        buffer.keep(end(&ended.id));
        let [
            Write::StartInvocation(first),
            Write::StartInvocation(second),
        ] = &buffer.writes[..]
        else {
            panic!("{:?}", buffer.writes);
        };
        assert_eq!(*second.as_ref(), running);
        let expected = Invocation {
            status: InvocationStatus::Succeeded,
            result: Some(serde_json::json!(7)),
            ended_at: Some(Timestamp::from_micros(5)),
            steps: 2,
            peak_memory_bytes: 3,
            cost_micro_usd: MicroUsd(4),
            ..ended
        };
        assert_eq!(*first.as_ref(), expected);
    }

    #[test]
    fn an_end_whose_start_is_on_disk_is_a_write_of_its_own() {
        let id = InvocationId::fresh();
        let mut buffer = Buffer::default();
        buffer.keep(end(&id));
        assert!(
            matches!(&buffer.writes[..], [Write::EndInvocation { id: kept, .. }] if *kept == id)
        );
    }
}
