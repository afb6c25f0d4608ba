//! What a guest asks models: whole answers, and answers piece by piece.

use super::code::{Code, TOLD, words};
use std::fmt::Write as _;

const STREAM: &str = "mandate:llm-stream/llm-stream";

impl Code {
    pub(super) fn complete(&mut self, prompt: &str, tools: &[String]) {
        self.ask_model("mandate:llm/llm", "complete", prompt, tools);
    }

    pub(super) fn open(&mut self, prompt: &str) {
        self.ask_model(STREAM, "open", prompt, &[]);
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
        prompt: &str,
        tools: &[String],
    ) {
        // One message of a user: role, text, no tool calls, no id of one.
        let text = self.slice(prompt);
        let message = [words(&[1]), text, vec![0; 20]].concat();
        let messages = self.put(&message);
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
            "(i32.const 0) (i32.const {messages}) (i32.const 1) (i32.const {offered}) (i32.const {}) \
             {none} {none} (i32.const 200) (i32.const 0) (f32.const 0) (i32.const 0) (i32.const 0)",
            tools.len()
        );
        let params = format!("{} f32 i32 i32", ["i32"; 13].join(" "));
        self.ask(interface, function, &params, &arguments);
    }
}
