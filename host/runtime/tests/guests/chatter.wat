;; Logs for ever.
(data (i32.const 0) "hello")
(func (export "run") (param i32) (result i32)
  (loop $again (call $log (i32.const 1) (i32.const 0) (i32.const 5)) (br $again))
  (unreachable))
