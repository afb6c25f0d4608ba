//! Plugin files: a guest, what its manifest says, and what its code says of itself.

use crate::guest::{Contract, Do, Guest, Kind, Text, component};
use mandate_plugin::{AgentDescription, Description, Manifest, ToolDescription};
use serde_json::{Value, json};
use std::path::Path;

/// A plugin that is being written.
#[derive(Clone, Debug)]
pub struct Plugin {
    id: String,
    version: String,
    sections: String,
    input: Value,
    output: Value,
    guest: Guest,
    component: Option<Vec<u8>>,
}

/// An agent that accepts tasks of the kind that is its name, and reports its input.
pub fn agent(id: &str) -> Plugin {
    let sections = format!("[agent]\nkinds = [\"{id}\"]\n");
    Plugin::new(Kind::Agent, id, sections)
}

/// A plugin with one tool `it` of these effects, which answers its arguments.
pub fn tool(id: &str, effects: &str) -> Plugin {
    let sections = format!("[[tool]]\nname = \"it\"\neffects = \"{effects}\"\n");
    Plugin::new(Kind::Tool, id, sections)
}

impl Plugin {
    fn new(kind: Kind, id: &str, sections: String) -> Self {
        Self {
            id: id.to_owned(),
            version: "0.1.0".to_owned(),
            sections,
            input: json!({}),
            output: json!({}),
            guest: Guest {
                kind,
                contract: Contract::Present,
                does: Vec::new(),
                answers: Text::Input,
                estimate: None,
                hasty: false,
            },
            component: None,
        }
    }

    /// More of the manifest.
    #[must_use]
    pub fn manifest(mut self, sections: &str) -> Self {
        self.sections.push_str(sections);
        self.sections.push('\n');
        self
    }

    /// Another version, which also makes it another file.
    #[must_use]
    pub fn version(mut self, version: &str) -> Self {
        self.version = version.to_owned();
        self
    }

    /// The schema of the input or the arguments.
    #[must_use]
    pub fn input(mut self, schema: Value) -> Self {
        self.input = schema;
        self
    }

    /// The schema of the output or the result.
    #[must_use]
    pub fn output(mut self, schema: Value) -> Self {
        self.output = schema;
        self
    }

    /// What it does, in order, before it answers.
    #[must_use]
    pub fn does(mut self, list: impl IntoIterator<Item = Do>) -> Self {
        self.guest.does.extend(list);
        self
    }

    /// What it answers.
    #[must_use]
    pub fn answers(mut self, text: impl Into<Text>) -> Self {
        self.guest.answers = text.into();
        self
    }

    /// The tool says that each call costs so many micro-dollars.
    #[must_use]
    pub fn estimates(mut self, micro_usd: i64) -> Self {
        self.guest.estimate = Some(micro_usd);
        self.manifest("cost = \"estimate\"")
    }

    /// The tool does all that it does also when it is only asked what that would cost.
    #[must_use]
    pub fn hasty(mut self) -> Self {
        self.guest.hasty = true;
        self
    }

    /// The guest is built for the contract before this host's.
    #[must_use]
    pub fn for_previous_contract(mut self) -> Self {
        self.guest.contract = Contract::Previous;
        self
    }

    /// This component in place of a written one.
    #[must_use]
    pub fn is(mut self, component: Vec<u8>) -> Self {
        self.component = Some(component);
        self
    }

    /// `plugin.toml`
    pub fn toml(&self) -> String {
        format!(
            "[plugin]\nid = \"{}\"\npublisher = \"tests\"\nversion = \"{}\"\ndescription = \"A test.\"\ncontract = \"1.0\"\n\n{}",
            self.id, self.version, self.sections
        )
    }

    /// The component, without the manifest.
    pub fn component(&self) -> Vec<u8> {
        match &self.component {
            Some(component) => component.clone(),
            None => component(&self.guest),
        }
    }

    /// The file.
    pub fn file(&self) -> Vec<u8> {
        let text = self.toml();
        let manifest = Manifest::parse(&text, Path::new("."))
            .unwrap_or_else(|error| panic!("{error}\n{text}"));
        let description = match self.guest.kind {
            Kind::Agent => Description::Agent(AgentDescription {
                summary: "A test guest.".to_owned(),
                input: self.input.clone(),
                output: self.output.clone(),
            }),
            Kind::Tool => Description::Tools(vec![ToolDescription {
                name: "it".to_owned(),
                summary: "A test tool.".to_owned(),
                arguments: self.input.clone(),
                result: self.output.clone(),
            }]),
        };
        mandate_plugin::encode::embed(&self.component(), manifest, description)
            .unwrap()
            .bytes
    }
}
