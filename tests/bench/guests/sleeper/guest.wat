;; Sleeps ten minutes, then reports.
(func (export "mandate:agent/agent@1.0.0#run") (param $task i32) (result i32)
  (call $sleep (i64.const 600000) (i32.const 512))
  (i32.store (i32.const 1032) (i32.const 4138)) (i32.store (i32.const 1036) (i32.const 2))
  (i32.store (i32.const 1040) (i32.const 4096)) (i32.store (i32.const 1044) (i32.const 25))
  (i32.const 1024))
