//! Who chooses the next action: a model as long as there is one that answers to the point, rules otherwise. A model
//! chooses among what the rules allow; it cannot invent actions, components or findings.

use crate::action::Action;
use crate::notebook::Notebook;
use crate::reasoner;
use incident_asking::incident::now;
use incident_asking::model::{self, DATA_RULE, Thought};
use incident_asking::text::{data, line, list};
use incident_contract::incident::Investigation;
use mandate_sdk::prelude::*;

const LONGEST_REASON: usize = 300;
const LONGEST_TITLE: usize = 200;
const LONGEST_STEP: usize = 600;

/// Who chooses.
#[derive(Debug)]
pub struct Chooser {
    title: String,
    model: Option<()>,
    /// Whether a model chose at least once.
    pub by_model: bool,
    /// Why no model chooses, when it is not because the host simulates one.
    pub without: Option<String>,
}

/// What the model is asked for.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
struct Choice {
    /// Why, in one sentence.
    reason: String,
    /// What to do.
    action: Name,
    /// The component to look at; only for `resources` and `logs`.
    #[serde(default)]
    component: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Name {
    /// Rank over a wider time.
    RankWider,
    /// Memory, processor, pools of a component.
    Resources,
    /// Errors, deployments and configuration changes of a component.
    Logs,
    /// Where the time is spent.
    Traces,
    /// The evidence suffices.
    Conclude,
}

impl Chooser {
    /// One that asks a model first.
    pub fn new(title: &str) -> Self {
        Self {
            title: title.to_owned(),
            model: Some(()),
            by_model: false,
            without: None,
        }
    }

    /// The next action, with its reason.
    pub fn next(
        &mut self,
        host: &Host,
        notebook: &Notebook,
        steps: &[Investigation],
    ) -> (Action, String) {
        let by_rules = reasoner::next(notebook, now(host));
        // Without a ranking there is nothing to choose from.
        if self.model.is_none() || notebook.ranking.is_none() {
            return by_rules;
        }
        match model::ask::<Choice>(host, self.question(notebook, steps, &by_rules)) {
            Thought::Real(choice) => match allowed(&choice, notebook) {
                Some(action) => {
                    self.by_model = true;
                    (action, line(&choice.reason, LONGEST_REASON))
                }
                None => by_rules,
            },
            Thought::Simulated => {
                self.model = None;
                by_rules
            }
            Thought::None(why) => {
                host.warn(format!("no model chooses what to look at: {why}"));
                self.model = None;
                self.without = Some(why);
                by_rules
            }
        }
    }

    fn question(
        &self,
        notebook: &Notebook,
        steps: &[Investigation],
        by_rules: &(Action, String),
    ) -> Request {
        let done: Vec<String> = steps
            .iter()
            .map(|step| {
                format!(
                    "{}: {} → {}",
                    step.action,
                    step.reason,
                    data(&step.observation, LONGEST_STEP)
                )
            })
            .collect();
        Request::new(ModelClass::Smart)
            .system(format!(
                "You search for the cause of an incident, one action per turn: rank_wider, resources or logs (of one \
                 component of the ranking), traces, or conclude when the evidence suffices. {DATA_RULE}"
            ))
            .user(format!(
                "Incident: {}\nSymptom at: {}\n{}\nDone so far:\n{}\nA rule would now choose: {} ({})",
                data(&self.title, LONGEST_TITLE),
                data(&notebook.symptom.service, LONGEST_TITLE),
                notebook.standing(),
                list(done.iter().map(String::as_str), LONGEST_STEP + LONGEST_REASON),
                by_rules.0.title(),
                by_rules.1,
            ))
            .max_output_tokens(300)
            .temperature(0.0)
    }
}

/// The action that the choice names, if it makes sense: a component of the ranking, and nothing that was done.
fn allowed(choice: &Choice, notebook: &Notebook) -> Option<Action> {
    let component = || {
        let name = choice.component.as_ref()?;
        let known = notebook
            .suspects()
            .iter()
            .any(|suspect| suspect.component == *name);
        known.then(|| name.clone())
    };
    match choice.action {
        Name::RankWider => (!notebook.went_wider).then_some(Action::RankWider),
        Name::Resources => component()
            .filter(|name| !notebook.footprint(name).saw_resources)
            .map(|name| Action::Resources(vec![name])),
        Name::Logs => component()
            .filter(|name| !notebook.footprint(name).saw_log)
            .map(|name| Action::Logs(vec![name])),
        Name::Traces => (!notebook.saw_spans).then_some(Action::Traces),
        Name::Conclude => Some(Action::Conclude),
    }
}
