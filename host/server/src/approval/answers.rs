//! Tests: answers against a whole host with parked executions in its store.

use super::tests::decision;
use super::{Approvals, Verdict};
use crate::config::Config;
use crate::host::Host;
use futures::future::join_all;
use mandate_store::*;
use mandate_types::*;
use serde_json::json;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::broadcast::Receiver;

/// A host, and the folder that it is in.
struct Home {
    host: Host,
    events: Receiver<Arc<Event>>,
    _dir: tempfile::TempDir,
}

impl Home {
    async fn open() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let host = Host::open(dir.path(), &Config::default(), Vec::new())
            .await
            .unwrap();
        let events = host.kernel.store().subscribe();
        Self {
            host,
            events,
            _dir: dir,
        }
    }

    fn store(&self) -> &SharedStore {
        self.host.kernel.store()
    }

    fn approvals(&self, loopback: bool) -> Arc<Approvals> {
        Approvals::new(self.host.tasks.clone(), loopback)
    }

    /// A task whose execution waits for `key`. Its agent is not installed: as soon as it goes on, it fails.
    async fn parked(
        &self,
        execution: ExecutionId,
        key: WaitKey,
        wake_at: Option<Timestamp>,
    ) -> TaskId {
        let now = Timestamp::now();
        let mut task = Task::new(
            TaskId::fresh(),
            "k".into(),
            "t".into(),
            TenantId::default(),
            who("ann"),
            now,
        );
        task.status = TaskStatus::Waiting;
        task.execution = Some(execution.clone());
        task.assigned_agents = vec![PluginName::parse("gone").unwrap()];
        let started = Execution {
            id: execution.clone(),
            task: Some(task.id.clone()),
            attempt: 1,
            root: InvocationId::fresh(),
            tenant: TenantId::default(),
            principal: who("ann"),
            lease_epoch: 1,
            started_at: now,
        };
        let writes = vec![
            Write::CreateTask(Box::new(task.clone())),
            Write::StartExecution(Box::new(started)),
            Write::Park {
                execution,
                task: Some(task.id.clone()),
                waits: vec![Wait { key, wake_at }],
                at: now,
            },
        ];
        self.store().commit(None, writes).await.unwrap();
        self.host.kernel.timers().notify_one();
        task.id
    }

    /// A pending decision that a task waits for.
    async fn asked(&self, expires_after: Option<Duration>) -> (Decision, TaskId) {
        let mut asked = decision();
        asked.requested_at = Timestamp::now();
        asked.expires_at = expires_after.map(|after| asked.requested_at.plus(after));
        let create = Write::CreateDecision(Box::new(asked.clone()));
        self.store().commit(None, vec![create]).await.unwrap();
        let key = WaitKey::Decision(asked.id.clone());
        let task = self
            .parked(asked.request.execution.clone(), key, None)
            .await;
        (asked, task)
    }

    async fn principal(&self, name: &str) -> Principal {
        let principal = Principal {
            name: who(name),
            role: Role::Approver,
            tenants: Vec::new(),
            token: Digest::of(name.as_bytes()),
            created_at: Timestamp::now(),
            expires_at: None,
        };
        let put = Write::PutPrincipal(Box::new(principal.clone()));
        self.store().commit(None, vec![put]).await.unwrap();
        principal
    }

    /// Waits for the next event of this kind about `task`.
    async fn told(&mut self, kind: &str, task: &TaskId) -> Arc<Event> {
        let next = async {
            loop {
                let event = self.events.recv().await.unwrap();
                if event.kind == kind && event.task.as_ref() == Some(task) {
                    return event;
                }
            }
        };
        tokio::time::timeout(Duration::from_secs(20), next)
            .await
            .unwrap()
    }

    async fn acts(&self, act: &str) -> Vec<AuditedAct> {
        let query = ActQuery {
            acts: vec![act.to_owned()],
            limit: 1_000,
            ..ActQuery::default()
        };
        self.store().acts(&query).await.unwrap().items
    }
}

fn who(name: &str) -> PrincipalName {
    PrincipalName::parse(name).unwrap()
}

fn slug(problem: &Problem) -> &str {
    problem.kind.rsplit(':').next().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn of_fifty_answers_at_once_one_counts() {
    let mut home = Home::open().await;
    let (asked, task) = home.asked(None).await;
    let approvals = home.approvals(true);
    let mut crowd = Vec::new();
    for number in 0..50 {
        crowd.push(home.principal(&format!("p{number}")).await);
    }
    let answers = crowd.iter().enumerate().map(|(number, by)| {
        let verdict = if number % 2 == 0 {
            Verdict::Approve
        } else {
            Verdict::Deny
        };
        let (approvals, asked, by) = (approvals.clone(), asked.clone(), by.clone());
        tokio::spawn(async move { approvals.resolve(asked, verdict, None, &by).await })
    });
    let answers: Vec<_> = join_all(answers)
        .await
        .into_iter()
        .map(Result::unwrap)
        .collect();
    let winners: Vec<_> = answers.iter().flatten().collect();
    assert_eq!(winners.len(), 1);
    let winner = winners[0].resolved_by.clone().unwrap();
    for refused in answers.iter().filter_map(|answer| answer.as_ref().err()) {
        assert_eq!((refused.status, slug(refused)), (409, "decision-answered"));
        assert!(
            refused.detail.contains(winner.as_str()),
            "{}",
            refused.detail
        );
    }
    let kept = home.store().decision(&asked.id).await.unwrap().unwrap();
    assert_eq!(&kept, winners[0]);
    let acts = [
        home.acts(Act::DECISION_APPROVED).await,
        home.acts(Act::DECISION_DENIED).await,
    ]
    .concat();
    assert_eq!(acts.len(), 1);
    assert_eq!(acts[0].actor, winner.as_str());
    home.told(EventKind::TASK_FAILED, &task).await;
    assert_eq!(home.store().parked().await.unwrap(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_answers_is_denied_and_its_task_goes_on() {
    let mut home = Home::open().await;
    home.host.tasks.start().await.unwrap();
    let (asked, task) = home.asked(Some(Duration::from_millis(60))).await;
    home.told(EventKind::TASK_FAILED, &task).await;
    let kept = home.store().decision(&asked.id).await.unwrap().unwrap();
    assert_eq!(
        (kept.status, kept.resolved_by.clone()),
        (DecisionStatus::Expired, None)
    );
    let acts = home.acts(Act::DECISION_EXPIRED).await;
    assert_eq!((acts.len(), acts[0].actor.as_str()), (1, "mandate"));
    let late = home.principal("late").await;
    for known in [kept, asked] {
        let refused = home
            .approvals(true)
            .resolve(known, Verdict::Approve, None, &late)
            .await;
        assert_eq!(slug(&refused.unwrap_err()), "decision-expired");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_asks_approves_only_alone_on_a_machine_of_ones_own() {
    let home = Home::open().await;
    let ann = home.principal("ann").await;
    let (asked, _) = home.asked(None).await;
    let remote = home.approvals(false);
    let refused = remote
        .resolve(asked.clone(), Verdict::Approve, None, &ann)
        .await;
    assert_eq!(slug(&refused.unwrap_err()), "self-approval");
    let local = home.approvals(true);
    let own = local
        .resolve(asked, Verdict::Approve, None, &ann)
        .await
        .unwrap();
    assert!(own.self_approved);
    let act = &home.acts(Act::DECISION_APPROVED).await[0];
    assert!(act.data.contains("\"self_approved\":true"));
    // As soon as there is somebody else, one has to ask.
    home.principal("bob").await;
    let (asked, _) = home.asked(None).await;
    let refused = local
        .resolve(asked.clone(), Verdict::Approve, None, &ann)
        .await;
    assert_eq!(slug(&refused.unwrap_err()), "self-approval");
    // Nobody has to want what one asked for.
    let denied = local
        .resolve(asked, Verdict::Deny, None, &ann)
        .await
        .unwrap();
    assert_eq!(denied.status, DecisionStatus::Denied);
    // A token under a plugin's name does not help the plugin.
    let plugin = home.principal("remediation").await;
    let (asked, _) = home.asked(None).await;
    let refused = local.resolve(asked, Verdict::Approve, None, &plugin).await;
    assert_eq!(slug(&refused.unwrap_err()), "self-approval");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_earlier_wait_is_not_slept_over() {
    let mut home = Home::open().await;
    home.host.tasks.start().await.unwrap();
    let sleep = || WaitKey::Sleep(InvocationId::fresh(), 1, 0);
    let later = Timestamp::now().plus(Duration::from_secs(3_600));
    let long = home
        .parked(ExecutionId::fresh(), sleep(), Some(later))
        .await;
    let soon = Timestamp::now().plus(Duration::from_millis(100));
    let short = home.parked(ExecutionId::fresh(), sleep(), Some(soon)).await;
    let begun = Instant::now();
    home.told(EventKind::TASK_FAILED, &short).await;
    assert!(
        begun.elapsed() < Duration::from_secs(5),
        "{:?}",
        begun.elapsed()
    );
    let long = home.store().task(&long).await.unwrap().unwrap();
    assert_eq!(long.status, TaskStatus::Waiting);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_due_while_the_host_was_away_goes_on_at_its_start() {
    let mut home = Home::open().await;
    let past = Timestamp::now().minus(Duration::from_secs(60));
    let key = WaitKey::Sleep(InvocationId::fresh(), 1, 0);
    let slept = home.parked(ExecutionId::fresh(), key, Some(past)).await;
    let (asked, expired) = home.asked(Some(Duration::ZERO)).await;
    home.host.tasks.start().await.unwrap();
    let mut ended = vec![
        home.events_until_failed().await,
        home.events_until_failed().await,
    ];
    ended.sort();
    let mut expected = vec![slept, expired];
    expected.sort();
    assert_eq!(ended, expected);
    let kept = home.store().decision(&asked.id).await.unwrap().unwrap();
    assert_eq!(kept.status, DecisionStatus::Expired);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_question_is_answered_once_and_by_its_schema() {
    let mut home = Home::open().await;
    let by = home.principal("bob").await;
    let question = Question {
        id: QuestionId::fresh(),
        kind: QuestionKind::Ask,
        status: QuestionStatus::Open,
        tenant: TenantId::default(),
        task: None,
        subject: None,
        execution: ExecutionId::fresh(),
        invocation: InvocationId::fresh(),
        sequence: 1,
        index: 0,
        plugin: PluginName::parse("gone").unwrap(),
        text: "Which window?".into(),
        schema: json!({"type": "object", "required": ["window"], "properties": {"window": {"enum": ["tonight", "sunday"]}}}),
        asked_at: Timestamp::now(),
        answer: None,
        answered_by: None,
        answered_at: None,
    };
    let ask = Write::AskQuestion(Box::new(question.clone()));
    home.store().commit(None, vec![ask]).await.unwrap();
    let key = WaitKey::Question(question.id.clone());
    let task = home.parked(question.execution.clone(), key, None).await;
    let approvals = home.approvals(true);
    let wrong = approvals
        .answer(question.clone(), json!({"window": "now"}), &by)
        .await;
    assert_eq!(wrong.unwrap_err().fields[0].field, "/answer/window");
    let right = json!({"window": "sunday"});
    let answers = (0..10).map(|_| approvals.answer(question.clone(), right.clone(), &by));
    let answers = join_all(answers).await;
    assert_eq!(answers.iter().flatten().count(), 1);
    let refused = answers.into_iter().find_map(Result::err).unwrap();
    assert_eq!(slug(&refused), "question-answered");
    home.told(EventKind::TASK_FAILED, &task).await;
}

impl Home {
    /// The next task that fails.
    async fn events_until_failed(&mut self) -> TaskId {
        let next = async {
            loop {
                let event = self.events.recv().await.unwrap();
                if event.kind == EventKind::TASK_FAILED {
                    return event.task.clone().unwrap();
                }
            }
        };
        tokio::time::timeout(Duration::from_secs(20), next)
            .await
            .unwrap()
    }
}
