(import "mandate:llm/llm@1.0.0" "complete" (func $complete (param
  i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 f32 i32 i32 i32)))
(import "mandate:invoke/invoke@1.1.0" "invoke" (func $invoke (param i32 i32 i32 i32 i32 i32 i32 i32)))
