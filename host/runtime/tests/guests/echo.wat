;; Logs `hello` and reports its input as its output.
(data (i32.const 0) "hello")
(func (export "run") (param $task i32) (result i32)
  (call $log (i32.const 1) (i32.const 0) (i32.const 5))
  (i32.store (i32.const 1032) (i32.load (i32.add (local.get $task) (i32.const 48))))
  (i32.store (i32.const 1036) (i32.load (i32.add (local.get $task) (i32.const 52))))
  (i32.store (i32.const 1040) (i32.const 0))
  (i32.store (i32.const 1044) (i32.const 5))
  (i32.const 1024))
