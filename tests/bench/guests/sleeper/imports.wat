(import "mandate:system/sleep@1.0.0" "sleep" (func $sleep (param i64 i32)))
