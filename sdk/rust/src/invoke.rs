//! Calling tools and other agents, one or many at a time.

use crate::error::Error;
use crate::host::Host;
use crate::{from_json, to_json};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::bindings::imports::mandate::invoke::invoke as wire;
pub use wire::{Answer, Call, NewTask, Offer, Reasons, Risk, ToolCall};

impl Call {
    /// A call of a tool, named `plugin.tool`.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the arguments have no JSON form.
    pub fn to_tool(name: &str, arguments: &impl Serialize) -> Result<Self, Error> {
        Ok(Self::Tool(wire::ToolCall {
            name: name.to_owned(),
            arguments: to_json("arguments", arguments)?,
        }))
    }

    /// A task for an agent, named as it is installed; the title is what people see of it.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the input has no JSON form.
    pub fn to_agent(name: &str, title: &str, input: &impl Serialize) -> Result<Self, Error> {
        Ok(Self::Agent(wire::AgentCall {
            name: name.to_owned(),
            title: title.to_owned(),
            input: to_json("input", input)?,
        }))
    }
}

impl Reasons {
    /// Why, in one or two sentences for people; nothing else is known.
    pub fn because(why: impl Into<String>) -> Self {
        Self {
            why: why.into(),
            cost: None,
            gain: None,
            risk: None,
            reversible: None,
            confidence: None,
            undo: None,
        }
    }

    /// What it will cost, in micro-dollars. The host takes the largest of what it knows.
    pub fn costing(mut self, micro_usd: i64) -> Self {
        self.cost = Some(micro_usd);
        self
    }

    /// What it is expected to bring, in micro-dollars.
    pub fn gaining(mut self, micro_usd: i64) -> Self {
        self.gain = Some(micro_usd);
        self
    }

    /// How risky it is.
    pub fn with_risk(mut self, risk: Risk) -> Self {
        self.risk = Some(risk);
        self
    }

    /// It cannot be undone, whatever the tool says in general.
    pub fn irreversibly(mut self) -> Self {
        self.reversible = Some(false);
        self
    }

    /// How sure the caller is that it is right, 0–1.
    pub fn with_confidence(mut self, confidence: f64) -> Self {
        self.confidence = Some(confidence.clamp(0.0, 1.0));
        self
    }

    /// How it is undone, in a line.
    pub fn undone_by(mut self, undo: impl Into<String>) -> Self {
        self.undo = Some(undo.into());
        self
    }
}

impl Answer {
    /// The tool's result, or the output of the agent's report, as a type.
    ///
    /// # Errors
    /// [`Error::Invalid`] if it is not a `T`.
    pub fn typed<T: DeserializeOwned>(&self) -> Result<T, Error> {
        from_json("answer", &self.output)
    }
}

impl NewTask {
    /// A task of a kind; the title is what people see of it.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the input has no JSON form.
    pub fn new(kind: &str, title: &str, input: &impl Serialize) -> Result<Self, Error> {
        Ok(Self {
            kind: kind.to_owned(),
            title: title.to_owned(),
            description: String::new(),
            input: to_json("input", input)?,
            priority: None,
            target: None,
            subject: None,
        })
    }

    /// The same task about a record.
    pub fn about(mut self, collection: &str, id: &str) -> Self {
        self.subject = Some(format!("{collection}/{id}"));
        self
    }

    /// The same task with a priority, 0–9, 9 first.
    pub fn with_priority(mut self, priority: u8) -> Self {
        self.priority = Some(priority);
        self
    }
}

/// What another agent reported.
#[derive(Clone, Debug, PartialEq)]
pub struct AgentAnswer<T> {
    /// The output of its report.
    pub output: T,
    /// One or two sentences for people.
    pub summary: String,
}

impl Host {
    /// Calls a tool, named `plugin.tool`, and waits for its result.
    ///
    /// # Errors
    /// What the host or the tool says; [`Error::Invalid`] if the result is not an `R`.
    pub fn call_tool<R: DeserializeOwned>(
        &self,
        name: &str,
        arguments: &impl Serialize,
    ) -> Result<R, Error> {
        self.port.invoke(&Call::to_tool(name, arguments)?)?.typed()
    }

    /// Calls a tool with effects, and says why: policy or a human decides before it is called.
    /// Meanwhile the execution may be parked, for minutes or days.
    ///
    /// # Errors
    /// [`Error::Denied`] with the reason when policy or a human says no; else what the tool says;
    /// [`Error::Invalid`] if the result is not an `R`.
    pub fn act<R: DeserializeOwned>(
        &self,
        name: &str,
        arguments: &impl Serialize,
        reasons: &Reasons,
    ) -> Result<R, Error> {
        let call = ToolCall {
            name: name.to_owned(),
            arguments: to_json("arguments", arguments)?,
        };
        self.port.act(&call, reasons)?.typed()
    }

    /// Gives another agent a task and waits for its report.
    ///
    /// # Errors
    /// What the host or the agent says; [`Error::Invalid`] if the output is not an `R`.
    pub fn call_agent<R: DeserializeOwned>(
        &self,
        name: &str,
        title: &str,
        input: &impl Serialize,
    ) -> Result<AgentAnswer<R>, Error> {
        let answer = self.port.invoke(&Call::to_agent(name, title, input)?)?;
        Ok(AgentAnswer {
            output: answer.typed()?,
            summary: answer.summary,
        })
    }

    /// Makes the calls in parallel; one answer per call, in the order of the calls.
    pub fn call_many(&self, calls: &[Call]) -> Vec<Result<Answer, Error>> {
        if calls.is_empty() {
            return Vec::new();
        }
        self.port.invoke_many(calls)
    }

    /// Calls one tool with many arguments in parallel; one result per argument, in their order.
    ///
    /// # Errors
    /// [`Error::Invalid`] if some arguments have no JSON form; what happens to each call is in the list.
    pub fn call_tool_many<A: Serialize, R: DeserializeOwned>(
        &self,
        name: &str,
        arguments: &[A],
    ) -> Result<Vec<Result<R, Error>>, Error> {
        let calls: Vec<Call> = arguments
            .iter()
            .map(|arguments| Call::to_tool(name, arguments))
            .collect::<Result<_, _>>()?;
        Ok(self
            .call_many(&calls)
            .into_iter()
            .map(|answer| answer?.typed())
            .collect())
    }

    /// The tools and agents that this plugin may call now, in name order.
    ///
    /// # Errors
    /// [`Error::Denied`] without the capability `invoke`.
    pub fn offers(&self) -> Result<Vec<Offer>, Error> {
        self.port.offers()
    }

    /// Creates a child task, which outlives this one, and returns its id at once.
    ///
    /// # Errors
    /// [`Error::Denied`] if submitting its kind is not granted; [`Error::Invalid`] for wrong fields.
    pub fn submit(&self, task: &NewTask) -> Result<String, Error> {
        self.port.submit(task)
    }
}
