;; Grows three memories in turn, each of them within any limit of its own.
(memory $two 1)
(memory $three 1)
(func (export "run") (param i32) (result i32)
  (loop $again
    (drop (memory.grow 0 (i32.const 4)))
    (drop (memory.grow $two (i32.const 4)))
    (drop (memory.grow $three (i32.const 4)))
    (br $again))
  (unreachable))
