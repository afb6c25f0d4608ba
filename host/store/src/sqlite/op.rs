//! Writes made ready for the writer: rows and JSON are put together by the caller's task, so that
//! the one writer only hands them to the database.

use super::budget::{Cause, Exhausted};
use super::ledger::{Reservation, Settlement};
use super::sql::Arg;
use super::suspend::Suspension;
use super::vault::Sealer;
use super::{
    audit, collection, decision, delivery, event, halt, journal, log, notification, plugin, policy,
    principal, task,
};
use crate::commit::Write;
use crate::decision::{Wait, WaitKey};
use crate::event::NewEvent;
use crate::record::{Collection, RecordWrite};
use crate::{CommitError, StoreError};
use mandate_types::{
    DecisionId, DeliveryId, Digest, ExecutionId, Halt, HaltScope, InvocationId, PluginName,
    PrincipalName, QuestionId, TaskId, TaskStatus, TenantId, Timestamp,
};
use std::sync::Arc;

/// One row of the tables into which many are written at once.
type Row = Vec<Arg>;

/// One change, ready to be applied; may be applied twice, see [`super::writer`].
pub(super) enum Op {
    /// A tenant that may be new.
    Tenant(TenantId),
    CreateTask {
        id: TaskId,
        row: Row,
    },
    ChangeTask {
        id: TaskId,
        row: Row,
    },
    CreateDecision(Row),
    ChangeDecision {
        id: DecisionId,
        row: Row,
    },
    Reserve(Box<Reservation>),
    Settle(Settlement),
    Exhausted(Box<Exhausted>),
    AskQuestion(Row),
    AnswerQuestion {
        id: QuestionId,
        row: Row,
    },
    ActOnAnswer(QuestionId),
    Park {
        execution: ExecutionId,
        task: Option<TaskId>,
        waits: Vec<Wait>,
        at: Timestamp,
    },
    Wake {
        key: WaitKey,
        at: Timestamp,
    },
    Withdraw {
        execution: ExecutionId,
        at: Timestamp,
    },
    GrantIs {
        plugin: PluginName,
        generation: u64,
    },
    DeleteTask(TaskId),
    StartExecution {
        id: ExecutionId,
        epoch: u64,
        task: Option<TaskId>,
        row: Row,
    },
    TakeExecution {
        id: ExecutionId,
        epoch: u64,
        at: Timestamp,
    },
    StartInvocation {
        id: InvocationId,
        execution: ExecutionId,
        row: Row,
    },
    EndInvocation {
        id: InvocationId,
        row: Row,
    },
    Step {
        key: StepKey,
        row: Row,
    },
    AnswerStep {
        key: StepKey,
        row: Row,
    },
    Log(Row),
    /// A large value of a journal.
    Content(Row),
    PutKey(Row),
    EraseJournals(Row),
    Record {
        write: RecordWrite,
        row: Row,
    },
    Event {
        event: NewEvent,
        row: Row,
    },
    IdempotencyKey {
        row: Row,
        task: TaskId,
    },
    CreateDelivery(Row),
    ChangeDelivery {
        id: DeliveryId,
        row: Row,
    },
    PlanNotifications(Vec<Row>),
    ChangeNotification(Row),
    DropNotifications(Row),
    PutPackage(Row),
    PutInstallation {
        name: PluginName,
        row: Row,
    },
    RemoveInstallation {
        name: PluginName,
        row: Vec<Arg>,
    },
    SuspendTool(Suspension),
    PutCollection(Arc<Collection>),
    PutTrigger(Row),
    PutPrincipal {
        name: PrincipalName,
        row: Row,
    },
    RemovePrincipal(PrincipalName),
    PutPolicy(Row),
    Audit(Row),
    SealActs(Row),
    PutHalt {
        halt: Box<Halt>,
        row: Row,
    },
    RemoveHalt(HaltScope),
    NotHalted {
        tenant: TenantId,
        plugins: Vec<PluginName>,
    },
}

/// Which step.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct StepKey {
    pub(super) invocation: InvocationId,
    pub(super) sequence: u64,
    pub(super) index: u32,
}

/// Makes `writes` ready.
///
/// # Errors
/// [`CommitError`] for what is wrong already without the database.
pub(super) fn prepare(writes: Vec<Write>, sealer: &mut Sealer) -> Result<Vec<Op>, CommitError> {
    let mut ops = Vec::with_capacity(writes.len() + 1);
    for write in writes {
        match write {
            Write::CreateTask(ref task) => ops.push(Op::Tenant(task.tenant.clone())),
            Write::PutPrincipal(ref principal) => {
                ops.extend(principal.tenants.iter().cloned().map(Op::Tenant));
            }
            Write::CreateDelivery(ref delivery) => {
                ops.push(Op::Tenant(delivery.tenant.clone()));
            }
            Write::Record(ref record) => {
                if let RecordWrite::Create(record) = &**record {
                    ops.push(Op::Tenant(record.tenant.clone()));
                }
            }
            _ => {}
        }
        let op = one(write, sealer)?;
        ops.extend(sealer.contents().map(Op::Content));
        ops.push(op);
    }
    Ok(ops)
}

fn one(write: Write, sealer: &mut Sealer) -> Result<Op, CommitError> {
    Ok(match write {
        Write::CreateTask(task) => Op::CreateTask {
            row: task::row(&task),
            id: task.id,
        },
        Write::ChangeTask { id, from, change } => Op::ChangeTask {
            row: task::change_row(&id, from, &change),
            id,
        },
        Write::CreateDecision(decision) => Op::CreateDecision(decision::row(&decision)),
        Write::ChangeDecision {
            id,
            from,
            live_at,
            change,
        } => Op::ChangeDecision {
            row: decision::change_row(&id, from, live_at, &change),
            id,
        },
        Write::Reserve { entry, ceilings } => {
            Op::Reserve(Box::new(Reservation::new(&entry, ceilings)))
        }
        Write::Settle {
            id,
            actual,
            uncertain,
            at,
        } => Op::Settle(Settlement {
            id,
            actual,
            uncertain,
            at,
        }),
        Write::Exhausted {
            ceiling,
            spent,
            tenant,
            task,
            at,
        } => Op::Exhausted(Box::new(Exhausted {
            ceiling: *ceiling,
            spent,
            cause: Cause { tenant, task, at },
        })),
        Write::AskQuestion(question) => Op::AskQuestion(decision::question_row(&question)),
        Write::AnswerQuestion { id, answer, by, at } => Op::AnswerQuestion {
            row: decision::answer_row(&id, &answer, &by, at),
            id,
        },
        Write::ActOnAnswer(id) => Op::ActOnAnswer(id),
        Write::Park {
            execution,
            task,
            waits,
            at,
        } => Op::Park {
            execution,
            task,
            waits,
            at,
        },
        Write::Wake { key, at } => Op::Wake { key, at },
        Write::Withdraw { execution, at } => Op::Withdraw { execution, at },
        Write::GrantIs { plugin, generation } => Op::GrantIs { plugin, generation },
        Write::DeleteTask(id) => Op::DeleteTask(id),
        Write::StartExecution(execution) => Op::StartExecution {
            row: journal::execution_row(&execution),
            id: execution.id,
            epoch: execution.lease_epoch,
            task: execution.task,
        },
        Write::TakeExecution { id, epoch } => Op::TakeExecution {
            id,
            epoch,
            at: Timestamp::now(),
        },
        Write::StartInvocation(invocation) => Op::StartInvocation {
            row: journal::invocation_row(&invocation, sealer)?,
            id: invocation.id,
            execution: invocation.execution,
        },
        Write::EndInvocation { id, ending } => Op::EndInvocation {
            row: journal::ending_row(&id, &ending, sealer)?,
            id,
        },
        Write::Step(step) => Op::Step {
            row: journal::step_row(&step, sealer)?,
            key: StepKey {
                invocation: step.invocation,
                sequence: step.sequence,
                index: step.index,
            },
        },
        Write::AnswerStep(answer) => Op::AnswerStep {
            row: journal::answer_row(&answer, sealer)?,
            key: StepKey {
                invocation: answer.invocation,
                sequence: answer.sequence,
                index: answer.index,
            },
        },
        Write::EraseJournals { tenant, at } => {
            Op::EraseJournals(vec![at.into(), Arg::text(&tenant)])
        }
        Write::Log(line) => Op::Log(log::row(&line)),
        Write::Record(write) => {
            let row = match &*write {
                RecordWrite::Create(record) => collection::row(record),
                RecordWrite::Update(record) => vec![Arg::json(&record.body)],
                RecordWrite::Delete { .. } => Vec::new(),
            };
            Op::Record { write: *write, row }
        }
        Write::Event(event) => Op::Event {
            row: event::row(&event),
            event: *event,
        },
        Write::IdempotencyKey {
            principal,
            key,
            request,
            task,
            at,
        } => Op::IdempotencyKey {
            row: vec![
                Arg::text(&principal),
                Arg::text(&key),
                Arg::text(&request),
                Arg::text(&task),
                at.into(),
            ],
            task,
        },
        Write::CreateDelivery(delivery) => Op::CreateDelivery(delivery::row(&delivery)),
        Write::ChangeDelivery(delivery) => Op::ChangeDelivery {
            row: delivery::change_row(&delivery),
            id: delivery.id,
        },
        Write::PlanNotifications(all) => {
            Op::PlanNotifications(all.iter().map(notification::row).collect())
        }
        Write::ChangeNotification(changed) => {
            Op::ChangeNotification(notification::change_row(&changed))
        }
        Write::DropNotifications(decision) => Op::DropNotifications(vec![Arg::text(&decision)]),
        Write::PutPackage(package) => Op::PutPackage(plugin::package_row(&package)),
        Write::PutInstallation(installation) => Op::PutInstallation {
            row: plugin::installation_row(&installation),
            name: installation.name,
        },
        Write::RemoveInstallation(installation) => Op::RemoveInstallation {
            row: plugin::former_row(&installation),
            name: installation.name,
        },
        Write::SuspendTool {
            plugin,
            tool,
            decision,
            at,
        } => Op::SuspendTool(Suspension {
            plugin,
            tool,
            decision,
            at,
        }),
        Write::PutCollection(declared) => {
            collection::check(&declared)?;
            Op::PutCollection(Arc::from(declared))
        }
        Write::PutTrigger(state) => Op::PutTrigger(plugin::trigger_row(&state)),
        Write::PutPrincipal(principal) => Op::PutPrincipal {
            row: principal::row(&principal),
            name: principal.name,
        },
        Write::RemovePrincipal(name) => Op::RemovePrincipal(name),
        Write::PutPolicy(version) => Op::PutPolicy(policy::row(&version)),
        Write::Audit(act) => Op::Audit(audit::row(&act)),
        Write::SealActs(hashes) => Op::SealActs(vec![Arg::json(&hashes)]),
        Write::PutHalt(halt) => Op::PutHalt {
            row: halt::row(&halt),
            halt,
        },
        Write::RemoveHalt(scope) => Op::RemoveHalt(scope),
        Write::NotHalted { tenant, plugins } => Op::NotHalted { tenant, plugins },
    })
}

impl Op {
    /// What it means when the database says that a key is taken.
    pub(super) fn taken(&self) -> CommitError {
        CommitError::Conflict(match self {
            Self::Step { key, .. } => {
                return CommitError::StepExists {
                    invocation: key.invocation.clone(),
                    sequence: key.sequence,
                    index: key.index,
                };
            }
            Self::CreateTask { id, .. } => format!("there is a task {id} already"),
            Self::StartExecution { id, .. } => format!("there is an execution {id} already"),
            Self::StartInvocation { id, .. } => format!("there is an invocation {id} already"),
            Self::Record {
                write: RecordWrite::Create(record),
                ..
            } => {
                format!(
                    "there is a record {}/{} already",
                    record.collection, record.id
                )
            }
            Self::CreateDelivery(_) => "it was delivered already".to_owned(),
            Self::PutPrincipal { name, .. } => {
                format!("the token of {name} is that of another principal")
            }
            Self::PutHalt { halt, .. } => format!("`{}` is halted already", halt.scope),
            _ => "a key is taken".to_owned(),
        })
    }

    /// What it means when the database says that a row it refers to is not there.
    pub(super) fn missing(&self) -> CommitError {
        CommitError::NotFound(match self {
            Self::Step { key, .. } => format!("invocation {}", key.invocation),
            Self::StartInvocation { execution, .. } => format!("execution {execution}"),
            Self::StartExecution {
                task: Some(task), ..
            }
            | Self::IdempotencyKey { task, .. } => {
                format!("task {task}")
            }
            _ => "row that this refers to".to_owned(),
        })
    }
}

/// A row of `tasks.status` in an error.
pub(super) fn task_state(id: &TaskId, status: &str) -> CommitError {
    match status.parse::<TaskStatus>() {
        Ok(status) => CommitError::TaskState {
            id: id.clone(),
            status,
        },
        Err(error) => StoreError::Corrupt(error.to_string()).into(),
    }
}

/// What is stored under an idempotency key, in an error.
pub(super) fn key_used(task: &str, request: &str) -> CommitError {
    match (TaskId::parse(task), Digest::parse(request)) {
        (Ok(task), Ok(request)) => CommitError::KeyUsed { task, request },
        _ => StoreError::Corrupt(format!("an idempotency key names `{task}`")).into(),
    }
}
