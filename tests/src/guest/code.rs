//! The core module of a guest that makes a list of calls, as WAT.

use super::script;
use super::{Act, Contract, Do, ESTIMATE, Guest, Kind, Text};
use std::collections::BTreeSet;
use std::fmt::Write as _;

/// Where the data of a guest begins; what the host answers is written below it.
const DATA: usize = 4096;
/// Where the answer of `run` and `call` is.
const ANSWER: usize = 256;
/// Where sixteen hexadecimal digits are.
const DIGITS: usize = 2048;
/// Where the host writes what it answers.
pub(super) const TOLD: usize = 512;

/// A core module on its way.
#[derive(Default)]
pub(super) struct Code {
    pub(super) contract: Contract,
    /// The interfaces of the contract that it imports.
    pub(super) interfaces: BTreeSet<&'static str>,
    pub(super) imports: BTreeSet<String>,
    data: Vec<u8>,
    pub(super) body: String,
    pub(super) labels: u32,
}

impl Code {
    /// Nothing yet.
    pub(super) fn new(contract: Contract) -> Self {
        Self {
            contract,
            ..Self::default()
        }
    }

    /// Puts bytes into the guest's memory and says where.
    pub(super) fn put(&mut self, bytes: &[u8]) -> usize {
        self.data.resize(self.data.len().next_multiple_of(8), 0);
        let at = DATA + self.data.len();
        self.data.extend_from_slice(bytes);
        at
    }

    /// Pointer and length on the stack.
    pub(super) fn text(&mut self, text: impl Into<Text>) -> String {
        match text.into() {
            Text::Fixed(text) => {
                let at = self.put(text.as_bytes());
                format!("(i32.const {at}) (i32.const {})", text.len())
            }
            Text::Input => "(global.get $input) (global.get $length)".to_owned(),
            Text::Group => "(global.get $group) (global.get $group_length)".to_owned(),
            // Both follow the case of the result, aligned to eight bytes.
            Text::Told => told(8),
            Text::Body => told(32),
        }
    }

    fn maybe(&mut self, text: Option<&str>) -> String {
        match text {
            Some(text) => format!("(i32.const 1) {}", self.text(text)),
            None => "(i32.const 0) (i32.const 0) (i32.const 0)".to_owned(),
        }
    }

    /// Pointer and length as eight bytes of memory.
    pub(super) fn slice(&mut self, text: &str) -> Vec<u8> {
        let at = self.put(text.as_bytes());
        words(&[at, text.len()])
    }

    pub(super) fn call(
        &mut self,
        interface: &'static str,
        function: &str,
        params: &str,
        arguments: &str,
    ) {
        self.interfaces.insert(interface);
        let name = named(interface, function);
        self.imports.insert(format!(
            "(import \"{}\" \"{function}\" (func {name} (param {params})))",
            self.contract.versioned(interface)
        ));
        // Writing to a String does not fail.
        let _ = writeln!(self.body, "(call {name} {arguments})");
    }

    /// A call whose answer is written to memory, where nobody reads it.
    pub(super) fn ask(
        &mut self,
        interface: &'static str,
        function: &str,
        params: &str,
        arguments: &str,
    ) {
        let arguments = format!("{arguments} (i32.const {TOLD})");
        self.call(interface, function, &format!("{params} i32"), &arguments);
    }

    /// Adds what a guest does next.
    pub(super) fn emit(&mut self, what: &Do) {
        const RECORDS: &str = "mandate:records/records";
        const INVOKE: &str = "mandate:invoke/invoke";
        match what {
            Do::Log(line) => {
                let line = self.text(line.as_str());
                self.call(
                    "mandate:system/log",
                    "log",
                    "i32 i32 i32",
                    &format!("(i32.const 1) {line}"),
                );
            }
            Do::Progress(fraction, message) => {
                let message = self.text(message.as_str());
                let arguments = format!("(i32.const 1) (f64.const {fraction}) {message}");
                self.call(
                    "mandate:system/progress",
                    "report",
                    "i32 f64 i32 i32",
                    &arguments,
                );
            }
            Do::Sleep(milliseconds) => {
                let arguments = format!("(i64.const {milliseconds})");
                self.ask("mandate:system/sleep", "sleep", "i64", &arguments);
            }
            Do::Create {
                collection,
                id,
                body,
            } => {
                let arguments = [
                    self.text(collection.as_str()),
                    self.maybe(id.as_deref()),
                    self.text(body.clone()),
                ];
                self.ask(
                    RECORDS,
                    "create",
                    "i32 i32 i32 i32 i32 i32 i32",
                    &arguments.join(" "),
                );
            }
            Do::Get { collection, id } => {
                let arguments = [self.text(collection.as_str()), self.text(id.as_str())];
                self.ask(RECORDS, "get", "i32 i32 i32 i32", &arguments.join(" "));
            }
            Do::Update {
                collection,
                id,
                version,
                body,
            } => {
                let arguments = [
                    self.text(collection.as_str()),
                    self.text(id.as_str()),
                    format!("(i64.const {version})"),
                    self.text(body.clone()),
                ];
                self.ask(
                    RECORDS,
                    "update",
                    "i32 i32 i32 i32 i64 i32 i32",
                    &arguments.join(" "),
                );
            }
            Do::Delete {
                collection,
                id,
                version,
            } => {
                let arguments = [
                    self.text(collection.as_str()),
                    self.text(id.as_str()),
                    format!("(i64.const {version})"),
                ];
                self.ask(
                    RECORDS,
                    "delete",
                    "i32 i32 i32 i32 i64",
                    &arguments.join(" "),
                );
            }
            Do::Find { collection } => {
                let collection = self.text(collection.as_str());
                let nothing = "(i32.const 0) (i32.const 0)";
                let none = "(i32.const 0) (i32.const 0) (i32.const 0)";
                let arguments = format!(
                    "{collection} {nothing} {none} {none} (i32.const 0) (i32.const 100) {none}"
                );
                let params = ["i32"; 15].join(" ");
                self.ask(RECORDS, "find", &params, &arguments);
            }
            Do::Publish { kind, data } => {
                let arguments = [
                    self.text(kind.as_str()),
                    self.maybe(None),
                    self.text(data.clone()),
                ];
                let params = "i32 i32 i32 i32 i32 i32 i32";
                self.ask(
                    "mandate:events/events",
                    "publish",
                    params,
                    &arguments.join(" "),
                );
            }
            Do::Tool { name, arguments } => {
                let call = [self.text(name.as_str()), self.text(arguments.clone())].join(" ");
                let arguments = format!("(i32.const 0) {call} (i32.const 0) (i32.const 0)");
                self.ask(INVOKE, "invoke", "i32 i32 i32 i32 i32 i32 i32", &arguments);
            }
            Do::Act(act) => {
                let at = self.act(act);
                if !matches!(act.arguments, Text::Fixed(_)) {
                    self.patch(at + 8, &act.arguments);
                }
                let arguments = format!("(i32.const {at})");
                self.ask(INVOKE, "act", "i32", &arguments);
            }
            Do::Agent { name, input } => {
                let call = [
                    self.text(name.as_str()),
                    self.text("a delegation"),
                    self.text(input.clone()),
                ];
                let arguments = format!("(i32.const 1) {}", call.join(" "));
                self.ask(INVOKE, "invoke", "i32 i32 i32 i32 i32 i32 i32", &arguments);
            }
            Do::Tools(calls) => {
                let mut list = Vec::new();
                for (name, arguments) in calls {
                    let (name, arguments) = (self.slice(name), self.slice(arguments));
                    list.extend([words(&[0]), name, arguments, vec![0; 8]].concat());
                }
                let at = self.put(&list);
                let arguments = format!("(i32.const {at}) (i32.const {})", calls.len());
                self.ask(INVOKE, "invoke-many", "i32 i32", &arguments);
            }
            Do::ToolsOf(names, arguments) => self.tools_of(names, arguments),
            Do::Script(letters) => self.script(letters),
            Do::Print(line) => self.print(line),
            Do::Trap => self.body.push_str("(unreachable)\n"),
            Do::Submit { kind, title, input } => {
                let arguments = [
                    self.text(kind.as_str()),
                    self.text(title.as_str()),
                    self.text(""),
                    self.text(input.clone()),
                    "(i32.const 0) (i32.const 0)".to_owned(),
                    self.maybe(None),
                    self.maybe(None),
                ];
                let params = ["i32"; 16].join(" ");
                self.ask(INVOKE, "submit", &params, &arguments.join(" "));
            }
            Do::Show(what) => {
                let bits = self.bits(*what);
                let _ = writeln!(self.body, "(call $digits {bits})");
                let collection = self.text("seen");
                let arguments = format!("{collection} (i32.const {DIGITS}) (i32.const 16)");
                self.ask(RECORDS, "get", "i32 i32 i32 i32", &arguments);
            }
            Do::Offers => self.ask(INVOKE, "offers", "", ""),
            Do::Complete { prompt, tools } => self.complete(prompt, tools),
            Do::Open(prompt) => self.open(std::slice::from_ref(prompt)),
            Do::GoOn(turns) => self.open(turns),
            Do::Pull(answer) => self.pull(*answer),
            Do::PullAll(answer) => self.pull_all(*answer),
            Do::Close(answer) => self.close(*answer),
            Do::Embed(text) => {
                let text = self.slice(text);
                let at = self.put(&text);
                let arguments = format!("(i32.const {at}) (i32.const 1)");
                self.ask("mandate:llm/llm", "embed", "i32 i32", &arguments);
            }
            Do::Ask(question) => {
                let question = self.text(question.as_str());
                let schema = self.text("{}");
                let arguments = format!("{question} {schema}");
                self.ask("mandate:human/human", "ask", "i32 i32 i32 i32", &arguments);
            }
            Do::ReadTopology => self.ask("mandate:telemetry/query", "topology", "", ""),
            Do::WriteTopology => {
                let arguments = "(i32.const 0) (i32.const 0)";
                self.ask("mandate:telemetry/ingest", "topology", "i32 i32", arguments);
            }
            Do::ReadMetrics { metric, start, end } => {
                let metric = self.text(metric.as_str());
                // No labels, the aggregation `mean`, one bucket.
                let arguments = format!(
                    "{metric} (i32.const 0) (i32.const 0) (i64.const {start}) (i64.const {end}) (i32.const 1) (f64.const 0) (i64.const 0)"
                );
                let params = "i32 i32 i32 i32 i64 i64 i32 f64 i64";
                self.ask("mandate:telemetry/query", "metrics", params, &arguments);
            }
            Do::Send {
                method,
                url,
                headers,
                body,
                timeout_ms,
            } => {
                let mut list = Vec::new();
                for (name, value) in headers {
                    let (name, value) = (self.slice(name), self.slice(value));
                    list.extend([name, value].concat());
                }
                let at = self.put(&list);
                let body = match body {
                    Some(body) => format!("(i32.const 1) {}", self.text(body.clone())),
                    None => self.maybe(None),
                };
                let arguments = [
                    self.text(method.as_str()),
                    self.text(url.as_str()),
                    format!("(i32.const {at}) (i32.const {})", headers.len()),
                    body,
                    format!(
                        "(i32.const {}) (i64.const {})",
                        u8::from(timeout_ms.is_some()),
                        timeout_ms.unwrap_or(0)
                    ),
                ];
                let params = format!("{} i64", ["i32"; 10].join(" "));
                self.ask("mandate:http/http", "send", &params, &arguments.join(" "));
            }
            Do::Repeat(times, what) => self.repeat(*times, what),
            Do::UnavailableBefore(attempt) => {
                let reason = self.text("not yet");
                let _ = writeln!(
                    self.body,
                    "(if (i32.lt_u (global.get $attempt) (i32.const {attempt})) (then
                       (return (call $refuse (i32.const 3) {reason}))))"
                );
            }
            Do::ContinueBefore(attempt, input) => {
                let input = self.text(input.clone());
                let test = format!("(i32.lt_u (global.get $attempt) (i32.const {attempt}))");
                let _ = writeln!(self.body, "(if {test} (then");
                self.ask(
                    "mandate:continuation/continuation",
                    "continue-as-new",
                    "i32 i32",
                    &input,
                );
                self.body.push_str("))\n");
            }
            Do::Fail(message) => {
                let message = self.text(message.as_str());
                let _ = writeln!(self.body, "(return (call $refuse (i32.const 7) {message}))");
            }
        }
    }

    /// The parameters of `act`: too many for the stack, so they lie in memory.
    fn act(&mut self, act: &Act) -> usize {
        fn some<T, const N: usize>(value: Option<T>, bytes: impl Fn(T) -> [u8; N]) -> Vec<u8> {
            let mut all = vec![u8::from(value.is_some())];
            // The value is aligned to its size.
            all.resize(N, 0);
            all.extend(value.map_or([0; N], bytes));
            all
        }
        let fixed = match &act.arguments {
            Text::Fixed(text) => text.as_str(),
            _ => "",
        };
        let mut list = [
            self.slice(&act.name),
            self.slice(fixed),
            self.slice(&act.why),
        ]
        .concat();
        list.extend(some(act.cost, i64::to_le_bytes));
        list.extend(some(act.gain, i64::to_le_bytes));
        list.extend(some(act.risk, |risk| [risk]));
        list.extend(some(act.reversible, |yes| [u8::from(yes)]));
        list.resize(list.len().next_multiple_of(8), 0);
        list.extend(some(act.confidence, f64::to_le_bytes));
        list.extend(words(&[usize::from(act.undo.is_some())]));
        list.extend(match &act.undo {
            Some(undo) => self.slice(undo),
            None => vec![0; 8],
        });
        self.put(&list)
    }

    fn repeat(&mut self, times: u32, what: &Do) {
        self.labels += 1;
        let (counter, label) = (
            format!("$count{}", self.labels),
            format!("$again{}", self.labels),
        );
        let _ = writeln!(
            self.body,
            "(global.set {counter} (i32.const {times}))\n(loop {label}"
        );
        self.emit(what);
        let _ = writeln!(
            self.body,
            "(global.set $next (global.get $base))
             (global.set {counter} (i32.sub (global.get {counter}) (i32.const 1)))
             (br_if {label} (global.get {counter})))"
        );
    }

    /// The whole module of `guest`.
    pub(super) fn module(&mut self, guest: &Guest) -> String {
        let kind = guest.kind;
        let output = self.text(guest.answers.clone());
        let empty = self.put(b"\"\"");
        let summary = self.text("done as told");
        let describe = self.describe(kind);
        let imports: String = self.imports.iter().map(|i| format!("{i}\n")).collect();
        let counters: String = (1..=self.labels)
            .map(|n| format!("(global $count{n} (mut i32) (i32.const 0))\n"))
            .collect();
        let data: String = self.data.iter().map(|b| format!("\\{b:02x}")).collect();
        let heap = (DATA + self.data.len()).next_multiple_of(16);
        let pages = heap / 65536 + 2;
        let (function, entry) = match kind {
            Kind::Agent => (
                "run",
                "(param $task i32) (result i32)
                 (global.set $input (i32.load offset=48 (local.get $task)))
                 (global.set $length (i32.load offset=52 (local.get $task)))
                 (global.set $attempt (i32.load offset=88 (local.get $task)))",
            ),
            Kind::Tool => (
                "call",
                "(param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32)
                 (global.set $input (local.get 2)) (global.set $length (local.get 3))",
            ),
        };
        let interface = self.contract.versioned(kind.interface());
        let hasty = if guest.hasty {
            format!(
                "(global.set $input (local.get 2)) (global.set $length (local.get 3))
                 (global.set $base (global.get $next))\n{}",
                self.body
            )
        } else {
            String::new()
        };
        let estimate = guest.estimate.map_or_else(String::new, |cost| {
            let interface = self.contract.versioned(ESTIMATE);
            format!(
                "(func (export \"{interface}#estimate\") (param i32 i32 i32 i32 i32 i32) (result i32)
                   {hasty}
                   (memory.fill (i32.const {ANSWER}) (i32.const 0) (i32.const 64))
                   (i64.store offset=8 (i32.const {ANSWER}) (i64.const {cost}))
                   (i32.const {ANSWER}))"
            )
        });
        let body = &self.body;
        let script = script::functions(empty);
        format!(
            r#"(module
  {imports}
  (memory (export "memory") {pages})
  (global $next (mut i32) (i32.const {heap}))
  (global $base (mut i32) (i32.const 0))
  (global $input (mut i32) (i32.const 0))
  (global $length (mut i32) (i32.const 0))
  (global $attempt (mut i32) (i32.const 0))
  (global $cursor (mut i32) (i32.const 0))
  (global $letter (mut i32) (i32.const 0))
  (global $group (mut i32) (i32.const {empty}))
  (global $group_length (mut i32) (i32.const 2))
  {counters}
  (func (export "cabi_realloc") (param $old i32) (param $had i32) (param $align i32) (param $want i32) (result i32)
    (local $at i32)
    (local.set $at (i32.and (i32.add (global.get $next) (i32.const 15)) (i32.const -16)))
    (global.set $next (i32.add (local.get $at) (local.get $want)))
    (block $fits
      (br_if $fits (i32.le_u (global.get $next) (i32.mul (memory.size) (i32.const 65536))))
      (drop (memory.grow (i32.add (i32.div_u (local.get $want) (i32.const 65536)) (i32.const 1)))))
    (memory.copy (local.get $at) (local.get $old) (local.get $had))
    (local.get $at))
  ;; Writes a number in hexadecimal digits.
  (func $digits (param $bits i64)
    (local $place i32) (local $digit i32)
    (local.set $place (i32.const 16))
    (loop $more
      (local.set $place (i32.sub (local.get $place) (i32.const 1)))
      (local.set $digit (i32.wrap_i64 (i64.and (local.get $bits) (i64.const 15))))
      (i32.store8 offset={DIGITS} (local.get $place)
        (i32.add (local.get $digit) (select (i32.const 87) (i32.const 48) (i32.gt_u (local.get $digit) (i32.const 9)))))
      (local.set $bits (i64.shr_u (local.get $bits) (i64.const 4)))
      (br_if $more (local.get $place))))
  {script}
  ;; An answer that is an error: its case, and a text.
  (func $refuse (param $case i32) (param $text i32) (param $length i32) (result i32)
    (i32.store8 (i32.const {ANSWER}) (i32.const 1))
    (i32.store8 offset=8 (i32.const {ANSWER}) (local.get $case))
    (i32.store offset=16 (i32.const {ANSWER}) (local.get $text))
    (i32.store offset=20 (i32.const {ANSWER}) (local.get $length))
    (i32.const {ANSWER}))
  (func $answer (param $text i32) (param $length i32) (param $summary i32) (param $long i32) (result i32)
    (i32.store offset=8 (i32.const {ANSWER}) (local.get $text))
    (i32.store offset=12 (i32.const {ANSWER}) (local.get $length))
    (i32.store offset=16 (i32.const {ANSWER}) (local.get $summary))
    (i32.store offset=20 (i32.const {ANSWER}) (local.get $long))
    (i32.const {ANSWER}))
  (func (export "{interface}#describe") (result i32) (i32.const {describe}))
  (func (export "{interface}#{function}") {entry}
    (global.set $base (global.get $next))
    {body}
    (call $answer {output} {summary}))
  {estimate}
  (data (i32.const {DATA}) "{data}"))"#
        )
    }

    /// What `describe` returns; the file's own description is what counts.
    fn describe(&mut self, kind: Kind) -> usize {
        let summary = self.slice("a test guest");
        let schema = self.slice("{}");
        match kind {
            Kind::Agent => self.put(&[summary, schema.clone(), schema].concat()),
            Kind::Tool => {
                let name = self.slice("it");
                let list = self.put(&[name, summary, schema.clone(), schema].concat());
                self.put(&words(&[list, 1]))
            }
        }
    }
}

/// Pointer and length in an answer, so many bytes behind its beginning.
fn told(offset: usize) -> String {
    format!(
        "(i32.load offset={offset} (i32.const {TOLD})) (i32.load offset={} (i32.const {TOLD}))",
        offset + 4
    )
}

/// The guest's own name for a function that it imports.
pub(super) fn named(interface: &str, function: &str) -> String {
    format!("${interface}-{function}").replace([':', '/', '[', ']'], "-")
}

/// Numbers as they lie in a guest's memory.
pub(super) fn words(words: &[usize]) -> Vec<u8> {
    words
        .iter()
        .flat_map(|word| u32::try_from(*word).unwrap().to_le_bytes())
        .collect()
}
