//! Guests that get what they do with their input, so that one component goes through thousands of
//! sequences.

use super::code::{Code, words};
use super::{Do, Text};
use std::fmt::Write as _;

/// The functions that a script needs; an empty JSON string lies at `empty`.
pub(super) fn functions(empty: usize) -> String {
    format!(
        r#";; Takes the letters in parentheses that follow, if any, and makes a JSON string of them.
  (func $take_group
    (local $end i32) (local $depth i32) (local $byte i32)
    (global.set $group (i32.const {empty}))
    (global.set $group_length (i32.const 2))
    (local.set $end (i32.add (global.get $input) (global.get $length)))
    (if (i32.ge_u (global.get $cursor) (local.get $end)) (then (return)))
    (if (i32.ne (i32.load8_u (global.get $cursor)) (i32.const 40)) (then (return)))
    (global.set $group (global.get $cursor))
    (loop $more
      (local.set $byte (i32.load8_u (global.get $cursor)))
      (if (i32.eq (local.get $byte) (i32.const 40)) (then
        (local.set $depth (i32.add (local.get $depth) (i32.const 1)))))
      (if (i32.eq (local.get $byte) (i32.const 41)) (then
        (local.set $depth (i32.sub (local.get $depth) (i32.const 1)))))
      (global.set $cursor (i32.add (global.get $cursor) (i32.const 1)))
      (br_if $more (i32.and
        (i32.gt_u (local.get $depth) (i32.const 0))
        (i32.lt_u (global.get $cursor) (local.get $end)))))
    (global.set $group_length (i32.sub (global.get $cursor) (global.get $group)))
    (i32.store8 (global.get $group) (i32.const 34))
    (i32.store8 (i32.sub (global.get $cursor) (i32.const 1)) (i32.const 34)))
  (func $pair (param $at i32) (param $text i32) (param $length i32)
    (i32.store (local.get $at) (local.get $text))
    (i32.store offset=4 (local.get $at) (local.get $length)))"#
    )
}

impl Code {
    /// Does what stands under each letter of the input.
    pub(super) fn script(&mut self, letters: &[(char, Do)]) {
        self.labels += 1;
        let (over, more) = (
            format!("$over{}", self.labels),
            format!("$more{}", self.labels),
        );
        // Writing to a String does not fail.
        let _ = writeln!(
            self.body,
            "(global.set $cursor (global.get $input))
             (block {over} (loop {more}
               (br_if {over} (i32.ge_u (global.get $cursor) (i32.add (global.get $input) (global.get $length))))
               (global.set $next (global.get $base))
               (global.set $letter (i32.load8_u (global.get $cursor)))
               (global.set $cursor (i32.add (global.get $cursor) (i32.const 1)))
               (call $take_group)"
        );
        for (letter, what) in letters {
            let _ = writeln!(
                self.body,
                "(if (i32.eq (global.get $letter) (i32.const {})) (then",
                u32::from(*letter)
            );
            self.emit(what);
            self.body.push_str("))\n");
        }
        let _ = writeln!(self.body, "(br {more})))");
    }

    /// One `invoke-many` of the tools `names`.
    pub(super) fn tools_of(&mut self, names: &[String], arguments: &Text) {
        let size = 28;
        let mut list = Vec::new();
        for name in names {
            let name = self.slice(name);
            // A tool, its name, its arguments, and what an agent would have more.
            list.extend([words(&[0]), name, vec![0; 16]].concat());
        }
        let at = self.put(&list);
        for n in 0..names.len() {
            self.patch(at + n * size + 12, arguments);
        }
        let params = format!("(i32.const {at}) (i32.const {})", names.len());
        self.ask("mandate:invoke/invoke", "invoke-many", "i32 i32", &params);
    }

    /// Writes pointer and length of `text` to the memory at `at`.
    pub(super) fn patch(&mut self, at: usize, text: &Text) {
        let text = self.text(text.clone());
        let _ = writeln!(self.body, "(call $pair (i32.const {at}) {text})");
    }
}
