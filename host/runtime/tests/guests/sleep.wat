;; Calls the host and waits for its answer.
(func (export "run") (param i32) (result i32)
  (call $sleep (i64.const 1000) (i32.const 512))
  (unreachable))
