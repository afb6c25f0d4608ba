;; Passes a text that is none.
(data (i32.const 0) "\ff\fe")
(func (export "run") (param i32) (result i32)
  (call $log (i32.const 1) (i32.const 0) (i32.const 2))
  (unreachable))
