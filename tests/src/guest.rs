//! Guests that make a fixed list of calls: a core module in WAT, made a component by the
//! contract's own WIT files. What was answered is in the journal, where tests read it.

mod code;
mod contract;
mod model;
mod script;
mod seen;

pub use contract::Contract;

use code::Code;
use wit_component::StringEncoding;
use wit_parser::Resolve;

/// A text that a guest passes on.
#[derive(Clone, Debug)]
pub enum Text {
    /// This one.
    Fixed(String),
    /// The task's input, or the tool's arguments.
    Input,
    /// Within a script: the letters in parentheses after the one that is done now, as JSON.
    Group,
    /// What the tool or agent answered that was called last, if it did not fail.
    Told,
    /// The body of the record that was got last, if there was one.
    Body,
}

impl Default for Text {
    fn default() -> Self {
        Self::Fixed(String::new())
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        Self::Fixed(text.to_owned())
    }
}

impl From<String> for Text {
    fn from(text: String) -> Self {
        Self::Fixed(text)
    }
}

/// What only a replay sees again.
#[derive(Clone, Copy, Debug)]
pub enum Seen {
    /// Eight bytes of the host's randomness.
    Random,
    /// The guest's clock.
    Now,
    /// A NaN computed from one with a payload.
    Nan,
    /// What this expression of WAT computes, an i64.
    Computed(&'static str),
    /// Eight random bytes of WASI's.
    WasiRandom,
    /// Eight random bytes of WASI's that need not be good.
    WasiInsecure,
    /// What WASI gives for the order of hash maps.
    WasiSeed,
    /// Microseconds of WASI's clock on the wall.
    WasiWall,
    /// WASI's clock that only goes forward.
    WasiMonotonic,
    /// How many variables the environment has.
    WasiEnvironment,
    /// How many arguments the guest was started with.
    WasiArguments,
    /// How many directories are open to the guest.
    WasiDirectories,
}

/// One thing that a guest does.
#[derive(Clone, Debug)]
#[allow(missing_docs)] // the fields are those of the contract
pub enum Do {
    Log(String),
    Progress(f64, String),
    Sleep(u64),
    Create {
        collection: String,
        id: Option<String>,
        body: Text,
    },
    Get {
        collection: String,
        id: String,
    },
    Update {
        collection: String,
        id: String,
        version: u64,
        body: Text,
    },
    Delete {
        collection: String,
        id: String,
        version: u64,
    },
    /// All records of a collection.
    Find {
        collection: String,
    },
    Publish {
        kind: String,
        data: Text,
    },
    Tool {
        name: String,
        arguments: Text,
    },
    /// A call of a tool with reasons.
    Act(Act),
    Agent {
        name: String,
        input: Text,
    },
    /// The calls of one `invoke-many`, which can only be tools with fixed arguments.
    Tools(Vec<(String, String)>),
    /// One `invoke-many` of these tools, each with the same arguments.
    ToolsOf(Vec<String>, Text),
    Submit {
        kind: String,
        title: String,
        input: Text,
    },
    Offers,
    /// Asks a model; it is offered tools of these names without parameters.
    Complete {
        prompt: String,
        tools: Vec<String>,
    },
    /// Opens a model's answer to this; the first that a guest opens has the number 1.
    Open(String),
    /// Opens a model's answer to what was said in turns, first and last by the user.
    GoOn(Vec<String>),
    /// Pulls one piece of the answer of this number.
    Pull(u64),
    /// Pulls the answer of this number until something else than text comes.
    PullAll(u64),
    /// Closes the answer of this number.
    Close(u64),
    Embed(String),
    /// Asks people, for an answer of any form.
    Ask(String),
    ReadTopology,
    WriteTopology,
    /// Asks for the mean of a metric over a range, times in microseconds since 1970.
    ReadMetrics {
        metric: String,
        start: u64,
        end: u64,
    },
    /// Sends a request to another host.
    Send {
        method: String,
        url: String,
        headers: Vec<(String, String)>,
        body: Option<Text>,
        timeout_ms: Option<u64>,
    },
    /// Shows eight random bytes, the time or the bits of a NaN: asks for the record of the
    /// collection `seen` that has them as its id, so that they are in the journal.
    Show(Seen),
    /// Writes a line to WASI's standard output.
    Print(String),
    /// So many times.
    Repeat(u32, Box<Do>),
    /// What stands here under each letter of the input, a JSON string, in the input's order.
    /// Letters that are not here do nothing. After one there may be others in parentheses, which
    /// are skipped: they are its [`Text::Group`]. The input can be used up only once.
    Script(Vec<(char, Do)>),
    /// Answers `unavailable` unless this is at least the n-th execution of the task.
    UnavailableBefore(u32),
    /// Goes on in a new execution with this input, unless this is at least the n-th of the task.
    ContinueBefore(u32, Text),
    /// Answers this failure, and that trying again is of no use.
    Fail(String),
    /// Crashes.
    Trap,
}

/// A call of a tool with reasons: why, and what is known of it.
#[derive(Clone, Debug, Default)]
#[allow(missing_docs)] // the fields are those of the contract
pub struct Act {
    pub name: String,
    pub arguments: Text,
    pub why: String,
    pub cost: Option<i64>,
    pub gain: Option<i64>,
    /// 0 low, 1 medium, 2 high.
    pub risk: Option<u8>,
    pub reversible: Option<bool>,
    pub confidence: Option<f64>,
    pub undo: Option<String>,
}

/// Shorthands that read like what happens.
impl Do {
    /// Creates a record with this id.
    pub fn create(collection: &str, id: &str, body: impl Into<Text>) -> Self {
        Self::Create {
            collection: collection.into(),
            id: Some(id.into()),
            body: body.into(),
        }
    }
    /// Reads a record.
    pub fn get(collection: &str, id: &str) -> Self {
        Self::Get {
            collection: collection.into(),
            id: id.into(),
        }
    }
    /// Calls a tool.
    pub fn tool(name: &str, arguments: impl Into<Text>) -> Self {
        Self::Tool {
            name: name.into(),
            arguments: arguments.into(),
        }
    }
    /// Calls a tool and says why.
    pub fn act(name: &str, arguments: &str, why: &str) -> Self {
        Self::Act(Act {
            name: name.into(),
            arguments: arguments.into(),
            why: why.into(),
            ..Act::default()
        })
    }
    /// Delegates to an agent.
    pub fn agent(name: &str, input: impl Into<Text>) -> Self {
        Self::Agent {
            name: name.into(),
            input: input.into(),
        }
    }
    /// Sends a request without headers and body.
    pub fn send(method: &str, url: &str) -> Self {
        Self::Send {
            method: method.into(),
            url: url.into(),
            headers: Vec::new(),
            body: None,
            timeout_ms: None,
        }
    }
    /// Publishes an event.
    pub fn publish(kind: &str, data: impl Into<Text>) -> Self {
        Self::Publish {
            kind: kind.into(),
            data: data.into(),
        }
    }
    /// Submits a child task.
    pub fn submit(kind: &str, input: impl Into<Text>) -> Self {
        Self::Submit {
            kind: kind.into(),
            title: format!("a child of kind {kind}"),
            input: input.into(),
        }
    }
}

/// What a guest is: the interface that it exports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `mandate:agent/agent`
    Agent,
    /// `mandate:tool/tool`
    Tool,
}

impl Kind {
    /// What it exports.
    fn interface(self) -> &'static str {
        match self {
            Self::Agent => "mandate:agent/agent",
            Self::Tool => "mandate:tool/tool",
        }
    }
}

const ESTIMATE: &str = "mandate:tool/estimate";

/// A guest that is being written.
#[derive(Clone, Debug)]
pub struct Guest {
    /// What it is.
    pub kind: Kind,
    /// For which contract.
    pub contract: Contract,
    /// What it does, in order.
    pub does: Vec<Do>,
    /// What it answers then.
    pub answers: Text,
    /// What it says that each call costs, in micro-dollars, if it estimates.
    pub estimate: Option<i64>,
    /// Whether it does already when it is asked for an estimate what it does when it is called.
    pub hasty: bool,
}

/// The component that `guest` is.
pub fn component(guest: &Guest) -> Vec<u8> {
    let contract = guest.contract;
    let mut code = Code::new(contract);
    for what in &guest.does {
        code.emit(what);
    }
    let text = code.module(guest);
    let mut wasm = wat::parse_str(&text).unwrap_or_else(|error| panic!("{error}\n{text}"));
    let mut resolve = Resolve::default();
    for (name, source) in contract.sources() {
        resolve.push_str(format!("{name}.wit"), source).unwrap();
    }
    let imports = code.interfaces.iter().map(|name| ("import", *name));
    let exports = [guest.kind.interface()]
        .into_iter()
        .chain(guest.estimate.map(|_| ESTIMATE));
    let lines: String = imports
        .chain(exports.map(|name| ("export", name)))
        .map(|(way, name)| format!("{way} {};\n", contract.versioned(name)))
        .collect();
    let world = format!("package test:guest;\nworld guest {{\n{lines}}}");
    let package = resolve.push_str("guest.wit", &world).unwrap();
    let world = resolve.select_world(&[package], Some("guest")).unwrap();
    wit_component::embed_component_metadata(&mut wasm, &resolve, world, StringEncoding::UTF8)
        .unwrap();
    mandate_plugin::encode::component(wasm).unwrap()
}
