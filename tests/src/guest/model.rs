//! What a guest asks models: whole answers, and answers piece by piece.

use super::code::{Code, TOLD, words};
use std::fmt::Write as _;

const STREAM: &str = "mandate:llm-stream/llm-stream";

impl Code {
    pub(super) fn complete(&mut self, prompt: &str, tools: &[String]) {
        let turns = [prompt.to_owned()];
        self.ask_model("mandate:llm/llm", "complete", &turns, tools);
    }

    pub(super) fn open(&mut self, turns: &[String]) {
        self.ask_model(STREAM, "open", turns, &[]);
    }

    pub(super) fn close(&mut self, answer: u64) {
        let arguments = format!("(i64.const {answer})");
        self.call(STREAM, "close", "i64", &arguments);
    }

    pub(super) fn pull(&mut self, answer: u64) {
        let arguments = format!("(i64.const {answer})");
        self.ask(STREAM, "pull", "i64", &arguments);
    }

    pub(super) fn pull_all(&mut self, answer: u64) {
        self.labels += 1;
        let label = format!("$pull{}", self.labels);
        let _ = writeln!(self.body, "(loop {label}");
        self.pull(answer);
        // The first byte says that it is no error, the one of the piece that it is text.
        let _ = writeln!(
            self.body,
            "(global.set $next (global.get $base))
             (br_if {label} (i32.eqz (i32.or
               (i32.load8_u (i32.const {TOLD})) (i32.load8_u offset=8 (i32.const {TOLD}))))))"
        );
    }

    fn ask_model(
        &mut self,
        interface: &'static str,
        function: &str,
        turns: &[String],
        tools: &[String],
    ) {
        let mut said = Vec::new();
        for (turn, text) in turns.iter().enumerate() {
            // Role (1 is the user, 2 the assistant), text, no tool calls, no id of one.
            let text = self.slice(text);
            said.extend([words(&[1 + turn % 2]), text, vec![0; 20]].concat());
        }
        let messages = self.put(&said);
        let mut list = Vec::new();
        for name in tools {
            let name = self.slice(name);
            let description = self.slice("does what its name says");
            let parameters = self.slice("{\"type\":\"object\"}");
            list.extend([name, description, parameters].concat());
        }
        let offered = self.put(&list);
        let none = "(i32.const 0) (i32.const 0) (i32.const 0)";
        // Class fast, the choice among the tools is the model's, at most 200 tokens.
        let arguments = format!(
            "(i32.const 0) (i32.const {messages}) (i32.const {}) (i32.const {offered}) (i32.const {}) \
             {none} {none} (i32.const 200) (i32.const 0) (f32.const 0) (i32.const 0) (i32.const 0)",
            turns.len(),
            tools.len()
        );
        let params = format!("{} f32 i32 i32", ["i32"; 13].join(" "));
        self.ask(interface, function, &params, &arguments);
    }
}
