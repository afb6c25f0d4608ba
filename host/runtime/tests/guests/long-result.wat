;; Reports two MiB.
(func (export "run") (param i32) (result i32)
  (drop (memory.grow (i32.const 32)))
  (i32.store (i32.const 1032) (i32.const 0))
  (i32.store (i32.const 1036) (i32.const 0x200000))
  (i32.const 1024))
