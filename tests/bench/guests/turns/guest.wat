;; A model turn that must choose a tool, the call that it chose, and a model turn that answers.
;; The model's words are passed on as they are. A refusal of any of them ends the agent.
(data (i32.const 16) "Count the words of this text: to be or not to be, that is the question.")
(data (i32.const 112) "text.word-count")
(data (i32.const 128) "Counts the words of a text.")
(data (i32.const 160) "{\"type\":\"object\",\"properties\":{\"text\":{\"type\":\"string\"}},\"required\":[\"text\"]}")
;; One turn: the first so many messages at 1152, the tool at 1280; the answer is at 2048.
(func $turn (param $messages i32) (param $choice i32)
  (call $complete
    (i32.const 0) ;; class fast
    (i32.const 1152) (local.get $messages)
    (i32.const 1280) (i32.const 1)
    (local.get $choice) (i32.const 0) (i32.const 0)
    (i32.const 0) (i32.const 0) (i32.const 0) ;; no schema
    (i32.const 200) ;; most tokens
    (i32.const 0) (f32.const 0) ;; no temperature
    (i32.const 0) (i32.const 0) ;; no stops
    (i32.const 2048))
  (if (i32.load8_u (i32.const 2048)) (then (unreachable))))
(func (export "mandate:agent/agent@1.0.0#run") (param $task i32) (result i32)
  (local $call i32)
  ;; The user's message, at 1152.
  (i32.store8 (i32.const 1152) (i32.const 1))
  (i32.store (i32.const 1156) (i32.const 16)) (i32.store (i32.const 1160) (i32.const 71))
  ;; The tool, at 1280: name, description, parameters.
  (i32.store (i32.const 1280) (i32.const 112)) (i32.store (i32.const 1284) (i32.const 15))
  (i32.store (i32.const 1288) (i32.const 128)) (i32.store (i32.const 1292) (i32.const 27))
  (i32.store (i32.const 1296) (i32.const 160)) (i32.store (i32.const 1300) (i32.const 77))
  ;; It must choose a tool.
  (call $turn (i32.const 1) (i32.const 2))
  ;; The answer's message, at 2056, is the second of the conversation; its first call is made.
  (memory.copy (i32.const 1184) (i32.const 2056) (i32.const 32))
  (if (i32.eqz (i32.load (i32.const 2072))) (then (unreachable)))
  (local.set $call (i32.load (i32.const 2068)))
  (call $invoke (i32.const 0)
    (i32.load offset=8 (local.get $call)) (i32.load offset=12 (local.get $call))
    (i32.load offset=16 (local.get $call)) (i32.load offset=20 (local.get $call))
    (i32.const 0) (i32.const 0) (i32.const 3072))
  (if (i32.load8_u (i32.const 3072)) (then (unreachable)))
  ;; The tool's message, at 1216.
  (i32.store8 (i32.const 1216) (i32.const 3))
  (i32.store (i32.const 1220) (i32.load (i32.const 3080))) (i32.store (i32.const 1224) (i32.load (i32.const 3084)))
  (i32.store8 (i32.const 1236) (i32.const 1))
  (i32.store (i32.const 1240) (i32.load (local.get $call))) (i32.store (i32.const 1244) (i32.load offset=4 (local.get $call)))
  ;; It must choose none.
  (call $turn (i32.const 3) (i32.const 1))
  ;; The report, at 3200: the tool's result, and what the model says of it.
  (i32.store (i32.const 3208) (i32.load (i32.const 3080))) (i32.store (i32.const 3212) (i32.load (i32.const 3084)))
  (i32.store (i32.const 3216) (i32.load (i32.const 2060))) (i32.store (i32.const 3220) (i32.load (i32.const 2064)))
  (i32.const 3200))
