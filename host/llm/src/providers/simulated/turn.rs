//! The model's part in one turn: call tools, or answer.

use super::facts::Facts;
use super::fill::{Filled, Purpose, fill};
use super::{answer, words};
use crate::{LlmError, Request, ToolCall, ToolChoice, ToolSpec};
use serde_json::Value;
use std::cmp::Reverse;

/// A real model stops asking some time; so does this one.
const MAX_ROUNDS: usize = 3;
const MAX_CALLS: usize = 3;
/// A greeting needs no tool; a wish has at least so many content words.
const WISH_WORDS: usize = 3;

/// What the model does.
#[derive(Debug, PartialEq)]
pub(super) enum Turn {
    /// Asks for tools.
    Calls(Vec<ToolCall>),
    /// Answers.
    Text(String),
}

/// Decides, from the request alone.
pub(super) fn take(request: &Request) -> Result<Turn, LlmError> {
    let facts = Facts::of(&request.messages);
    let turn = Calls {
        request,
        facts: &facts,
    };
    let calls = match &request.tool_choice {
        ToolChoice::None => Vec::new(),
        ToolChoice::Auto => turn.wanted(),
        ToolChoice::Required => match turn.wanted() {
            calls if calls.is_empty() => vec![turn.forced(None)?],
            calls => calls,
        },
        ToolChoice::Tool(name) => vec![turn.forced(Some(name))?],
    };
    if !calls.is_empty() {
        return Ok(Turn::Calls(turn.numbered(calls)));
    }
    match &request.output_schema {
        None => Ok(Turn::Text(answer::compose(&facts))),
        Some(schema) => fill(schema, &facts, Purpose::Answer, 0)
            .map(|filled| Turn::Text(filled.value.to_string()))
            .map_err(|reason| LlmError::invalid(format!("output-schema: {reason}"))),
    }
}

type Call = (String, Value);

struct Calls<'a> {
    request: &'a Request,
    facts: &'a Facts,
}

/// A tool with the ways in which it could be called now.
struct Candidate<'a> {
    tool: &'a ToolSpec,
    /// How much the user speaks of it.
    relevance: usize,
    /// How much the author's frame speaks of it.
    framed: usize,
    /// Of required arguments that have a source; none of them was made before.
    ways: Vec<Filled>,
}

impl Candidate<'_> {
    fn fed(&self) -> bool {
        self.ways.iter().any(|way| way.fed)
    }
}

impl<'a> Calls<'a> {
    /// The calls that bring something new, if any.
    fn wanted(&self) -> Vec<Call> {
        if self.facts.rounds >= MAX_ROUNDS {
            return Vec::new();
        }
        let mut candidates: Vec<Candidate<'a>> = self
            .request
            .tools
            .iter()
            .map(|tool| self.candidate(tool))
            .collect();
        let best = candidates.iter().map(|c| c.relevance).max().unwrap_or(0);
        candidates.retain(|c| !c.ways.is_empty());
        candidates.sort_by_key(|c| Reverse((c.relevance, c.framed)));
        let chosen = if self.facts.rounds == 0 {
            first_round(candidates, self.facts)
        } else {
            self.later_round(candidates, best)
        };
        let mut calls: Vec<Call> = Vec::new();
        for candidate in chosen {
            for way in candidate.ways {
                calls.push((candidate.tool.name.clone(), way.value));
            }
        }
        calls.truncate(MAX_CALLS);
        calls
    }

    fn candidate(&self, tool: &'a ToolSpec) -> Candidate<'a> {
        let parameters = tool.parameters.get("properties").and_then(Value::as_object);
        let names: Vec<&str> = parameters
            .iter()
            .flat_map(|p| p.keys())
            .map(String::as_str)
            .collect();
        let about = format!("{} {}", tool.description, names.join(" "));
        let near = |wanted| 3 * words::overlap(&tool.name, wanted) + words::overlap(&about, wanted);
        let mut ways: Vec<Filled> = Vec::new();
        for pick in 0..MAX_CALLS {
            let Ok(way) = fill(&tool.parameters, self.facts, Purpose::Arguments, pick) else {
                break;
            };
            let (fed, invented) = (way.fed, way.invented);
            let known = ways.iter().any(|other| other.value == way.value);
            if !invented && !known && !self.was_made(&tool.name, &way.value) {
                ways.push(way);
            }
            if invented || !fed {
                break;
            }
        }
        Candidate {
            tool,
            relevance: near(&self.facts.goal_words),
            framed: near(&self.facts.frame_words),
            ways,
        }
    }

    /// Once there are results: what they feed, then what is wanted as much and was never called.
    fn later_round(&self, candidates: Vec<Candidate<'a>>, best: usize) -> Vec<Candidate<'a>> {
        let (fed, plain): (Vec<_>, Vec<_>) = candidates.into_iter().partition(Candidate::fed);
        // A tool that nobody speaks of is worth a call when it follows a reference to what was
        // found; that it could take a text is no reason.
        let (spoken, silent): (Vec<_>, Vec<_>) =
            fed.into_iter().partition(|c| c.relevance + c.framed > 0);
        let mut chosen = spoken;
        if chosen.is_empty() {
            let follows = |c: &Candidate<'_>| c.ways.iter().any(|way| way.referred);
            chosen.extend(silent.into_iter().find(follows));
        }
        chosen.extend(plain.into_iter().filter(|c| {
            c.relevance > 0 && c.relevance * 2 >= best && !self.was_called(&c.tool.name)
        }));
        chosen
    }

    /// A call that somebody insists on: as good as it can be.
    fn forced(&self, name: Option<&str>) -> Result<Call, LlmError> {
        let mut tools: Vec<&ToolSpec> = self
            .request
            .tools
            .iter()
            .filter(|tool| name.is_none_or(|name| tool.name == name))
            .collect();
        tools.sort_by_cached_key(|tool| Reverse(self.candidate(tool).relevance));
        let mut problem = "tools: none is offered".to_owned();
        let mut repeated = None;
        for tool in tools {
            for pick in 0..MAX_CALLS {
                match fill(&tool.parameters, self.facts, Purpose::Arguments, pick) {
                    Err(reason) => problem = format!("tools `{}`, parameters: {reason}", tool.name),
                    Ok(way) if self.was_made(&tool.name, &way.value) => {
                        repeated.get_or_insert((tool.name.clone(), way.value));
                    }
                    Ok(way) => return Ok((tool.name.clone(), way.value)),
                }
            }
        }
        repeated.ok_or_else(|| LlmError::invalid(problem))
    }

    fn earlier(&self) -> impl Iterator<Item = &'a ToolCall> {
        self.request.messages.iter().flat_map(|m| &m.tool_calls)
    }

    fn was_made(&self, name: &str, arguments: &Value) -> bool {
        self.earlier()
            .any(|call| call.name == name && call.arguments == *arguments)
    }

    fn was_called(&self, name: &str) -> bool {
        self.earlier().any(|call| call.name == name)
    }

    /// Ids that no earlier call of the conversation has.
    fn numbered(&self, calls: Vec<Call>) -> Vec<ToolCall> {
        let mut number = self.earlier().count();
        let mut numbered = Vec::new();
        for (name, arguments) in calls {
            number += 1;
            while self
                .earlier()
                .any(|call| call.id == format!("call_{number}"))
            {
                number += 1;
            }
            numbered.push(ToolCall {
                id: format!("call_{number}"),
                name,
                arguments,
            });
        }
        numbered
    }
}

/// At first: the tools that the user speaks of; else, for a wish, those that the author speaks
/// of; else those that take the wish as it is, since nothing tells them apart.
fn first_round<'a>(mut candidates: Vec<Candidate<'a>>, facts: &Facts) -> Vec<Candidate<'a>> {
    let best = candidates.first().map_or(0, |c| c.relevance);
    if best > 0 {
        candidates.retain(|c| c.relevance * 2 >= best);
        return candidates;
    }
    if facts.goal_words.len() < WISH_WORDS {
        return Vec::new();
    }
    let framed = candidates.first().map_or(0, |c| c.framed);
    if framed > 0 {
        candidates.retain(|c| c.framed * 2 >= framed);
        return candidates;
    }
    candidates.retain(|c| {
        c.ways.iter().any(|way| {
            way.value
                .as_object()
                .is_some_and(|fields| !fields.is_empty())
        })
    });
    candidates
}
