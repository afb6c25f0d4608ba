;; Passes a whole GiB in one argument.
(func (export "run") (param i32) (result i32)
  (drop (memory.grow (i32.sub (i32.const 16384) (memory.size))))
  (call $log (i32.const 1) (i32.const 0) (i32.const 0x40000000))
  (unreachable))
