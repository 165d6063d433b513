;; What `aiohost bench` times for a plugin with many requests in flight: it keeps a ring of them, waits for the oldest one, and puts
;; another one in its place. Arguments: `read` or `store`, how often, how many in flight, and where the places begin. The exit
;; status is 0, or the errno of what failed.
(module
  (import "aiohost:aio/submit@0.1.0" "open" (func $submit_open (param i32 i32 i32 i32 i32 i32) (result i32)))
  (import "aiohost:aio/submit@0.1.0" "advise" (func $submit_advise (param i32 i64 i64 i32) (result i32)))
  (import "aiohost:aio/submit@0.1.0" "read" (func $submit_read (param i32 i32 i64 i32) (result i32)))
  (import "aiohost:aio/submit@0.1.0" "store" (func $submit_store (param i32 i32 i32 i32 i32 i32 i32) (result i32)))
  (import "aiohost:aio/types@0.1.0" "[method]request.wait" (func $wait (param i32 i32)))
  (import "aiohost:aio/types@0.1.0" "[resource-drop]request" (func $drop_request (param i32)))
  (import "wasi_snapshot_preview1" "args_get" (func $args_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param i32)))

  ;; 0: the names. 64: the arguments' places. 256: their bytes. 1024: a result. 4096: the ring. 65536: the bytes of a block.
  (memory (export "memory") 2)
  (data (i32.const 0) "data")
  (data (i32.const 16) "new-0000")

  (global $block i32 (i32.const 4096))
  (global $blocks i64 (i64.const 16384))
  (global $file (mut i32) (i32.const 0))
  (global $state (mut i64) (i64.const 0))

  ;; What is read lies always in the same place; other memory is new.
  (func (export "cabi_realloc") (param $old i32) (param $old_size i32) (param $align i32) (param $size i32) (result i32)
    (if (i32.eq (local.get $size) (global.get $block)) (then (return (i32.const 65536))))
    (i32.shl (memory.grow (i32.div_u (i32.add (local.get $size) (i32.const 65535)) (i32.const 65536))) (i32.const 16)))

  ;; The number that an argument is.
  (func $number (param $argument i32) (result i64)
    (local $at i32)
    (local $number i64)
    (local.set $at (i32.load (i32.add (i32.const 64) (i32.shl (local.get $argument) (i32.const 2)))))
    (loop $each
      (if (i32.eqz (i32.load8_u (local.get $at))) (then (return (local.get $number))))
      (local.set $number (i64.add (i64.mul (local.get $number) (i64.const 10))
        (i64.sub (i64.load8_u (local.get $at)) (i64.const 48))))
      (local.set $at (i32.add (local.get $at) (i32.const 1)))
      (br $each))
    (unreachable))

  (func $check (param $errno i32)
    (if (local.get $errno) (then (call $proc_exit (local.get $errno)))))

  ;; The next place in the file: see `Offsets`.
  (func $offset (result i64)
    (global.set $state
      (i64.rem_u (i64.add (i64.mul (global.get $state) (i64.const 1664525)) (i64.const 1013904223)) (global.get $blocks)))
    (i64.mul (global.get $state) (i64.extend_i32_u (global.get $block))))

  (func $submit (param $is_read i32) (param $slot i32) (result i32)
    (if (local.get $is_read)
      (then (return (call $submit_read (global.get $file) (i32.const 1) (call $offset) (global.get $block)))))
    ;; Each place in the ring has a file of its own.
    (i32.store8 (i32.const 22) (i32.add (i32.const 48) (i32.div_u (local.get $slot) (i32.const 10))))
    (i32.store8 (i32.const 23) (i32.add (i32.const 48) (i32.rem_u (local.get $slot) (i32.const 10))))
    (call $submit_store (i32.const 0) (i32.const 0) (i32.const 16) (i32.const 8) (i32.const 65536) (global.get $block)
      (i32.const 0x1b6)))

  (func $finish (param $request i32)
    (call $wait (local.get $request) (i32.const 1024))
    (if (i32.load8_u (i32.const 1024)) (then (call $check (i32.load (i32.const 1036)))))
    (call $drop_request (local.get $request)))

  (func (export "_start")
    (local $is_read i32)
    (local $count i64)
    (local $in_flight i64)
    (local $done i64)
    (local $begun i64)
    (local $slot i32)
    (call $check (call $args_get (i32.const 64) (i32.const 256)))
    (local.set $is_read (i32.eq (i32.load8_u (i32.load (i32.const 68))) (i32.const 114)))
    (local.set $count (call $number (i32.const 2)))
    (local.set $in_flight (call $number (i32.const 3)))
    (global.set $state (call $number (i32.const 4)))
    (call $finish
      (call $submit_open (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 4) (i32.const 1) (i32.const 0)))
    (global.set $file (i32.load (i32.const 1040)))
    ;; random
    (call $finish (call $submit_advise (global.get $file) (i64.const 0) (i64.const 0) (i32.const 2)))
    (loop $each
      (local.set $slot (i32.wrap_i64 (i64.rem_u (local.get $begun) (local.get $in_flight))))
      (if (i64.ge_u (local.get $begun) (local.get $in_flight))
        (then
          (if (i64.lt_u (local.get $done) (local.get $count))
            (then
              (call $finish (i32.load (i32.add (i32.const 4096) (i32.shl (local.get $slot) (i32.const 2)))))
              (local.set $done (i64.add (local.get $done) (i64.const 1)))))))
      (if (i64.lt_u (local.get $begun) (local.get $count))
        (then
          (i32.store (i32.add (i32.const 4096) (i32.shl (local.get $slot) (i32.const 2)))
            (call $submit (local.get $is_read) (local.get $slot)))))
      (local.set $begun (i64.add (local.get $begun) (i64.const 1)))
      (br_if $each (i64.lt_u (local.get $done) (local.get $count))))))
