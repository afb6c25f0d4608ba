;; Crashes in a function with a name.
(func $divide_the_indivisible (unreachable))
(func (export "run") (param i32) (result i32) (call $divide_the_indivisible) (unreachable))
