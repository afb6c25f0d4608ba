//! What surrounds a guest: chance, time, computed bits, and what there is of WASI.

use super::Seen;
use super::code::{Code, TOLD, named};

impl Code {
    /// 64 bits on the stack.
    pub(super) fn bits(&mut self, what: Seen) -> String {
        match what {
            Seen::Random => {
                self.ask("mandate:system/random", "bytes", "i32", "(i32.const 8)");
                format!("(i64.load (i32.load (i32.const {TOLD})))")
            }
            Seen::Now => self.value("mandate:system/clock", "now"),
            Seen::Nan => {
                let nan = "(f64.add (f64.const nan:0x8000000000123) (f64.const 1))";
                format!("(i64.reinterpret_f64 {nan})")
            }
            Seen::Computed(bits) => bits.to_owned(),
            Seen::WasiRandom => self.value("wasi:random/random", "get-random-u64"),
            Seen::WasiInsecure => self.value("wasi:random/insecure", "get-insecure-random-u64"),
            Seen::WasiSeed => {
                self.ask("wasi:random/insecure-seed", "insecure-seed", "", "");
                format!(
                    "(i64.xor (i64.load (i32.const {TOLD})) (i64.load offset=8 (i32.const {TOLD})))"
                )
            }
            Seen::WasiWall => {
                self.ask("wasi:clocks/wall-clock", "now", "", "");
                format!(
                    "(i64.add
                       (i64.mul (i64.load (i32.const {TOLD})) (i64.const 1000000))
                       (i64.div_u (i64.load32_u offset=8 (i32.const {TOLD})) (i64.const 1000)))"
                )
            }
            Seen::WasiMonotonic => self.value("wasi:clocks/monotonic-clock", "now"),
            Seen::WasiEnvironment => self.many("wasi:cli/environment", "get-environment"),
            Seen::WasiArguments => self.many("wasi:cli/environment", "get-arguments"),
            Seen::WasiDirectories => self.many("wasi:filesystem/preopens", "get-directories"),
        }
    }

    /// A call that gives 64 bits.
    fn value(&mut self, interface: &'static str, function: &str) -> String {
        self.interfaces.insert(interface);
        let versioned = self.contract.versioned(interface);
        let name = named(interface, function);
        self.imports.insert(format!(
            "(import \"{versioned}\" \"{function}\" (func {name} (result i64)))"
        ));
        format!("(call {name})")
    }

    /// How many a call gives.
    fn many(&mut self, interface: &'static str, function: &str) -> String {
        self.ask(interface, function, "", "");
        format!("(i64.load32_u offset=4 (i32.const {TOLD}))")
    }

    /// Writes a line to standard output.
    pub(super) fn print(&mut self, line: &str) {
        let line = self.text(format!("{line}\n"));
        self.interfaces.insert("wasi:cli/stdout");
        let versioned = self.contract.versioned("wasi:cli/stdout");
        self.imports.insert(format!(
            "(import \"{versioned}\" \"get-stdout\" (func $stdout (result i32)))"
        ));
        self.ask(
            "wasi:io/streams",
            "[method]output-stream.blocking-write-and-flush",
            "i32 i32 i32",
            &format!("(call $stdout) {line}"),
        );
    }
}
