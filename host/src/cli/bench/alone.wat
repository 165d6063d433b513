;; What `aiohost bench` times for a plugin that does one thing after the other: a program of WASI preview 1. Each function does a number of
;; operations, one after the other, and returns 0, or the errno of the first call that failed.
(module
  (import "wasi_snapshot_preview1" "path_open"
    (func $path_open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "path_filestat_get" (func $path_filestat_get (param i32 i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "path_unlink_file" (func $path_unlink_file (param i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_pread" (func $fd_pread (param i32 i32 i32 i64 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_pwrite" (func $fd_pwrite (param i32 i32 i32 i64 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_advise" (func $fd_advise (param i32 i64 i64 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_sync" (func $fd_sync (param i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_close" (func $fd_close (param i32) (result i32)))

  ;; 0: the names. 64: the place of the bytes and their number. 80: how many were moved. 84: a descriptor. 128: a status.
  ;; 65536: the bytes.
  (memory (export "memory") 2)
  (data (i32.const 0) "data")
  (data (i32.const 16) "files/0000")
  (data (i32.const 32) "new-0000")

  (global $block i32 (i32.const 4096))
  (global $files i32 (i32.const 1000))
  (global $data (mut i32) (i32.const -1))
  (global $state (mut i64) (i64.const 0))
  (global $next (mut i32) (i32.const 0))

  ;; Writes a number of four digits.
  (func $digits (param $at i32) (param $number i32)
    (local $place i32)
    (local.set $place (i32.const 4))
    (loop $each
      (local.set $place (i32.sub (local.get $place) (i32.const 1)))
      (i32.store8 (i32.add (local.get $at) (local.get $place))
        (i32.add (i32.const 48) (i32.rem_u (local.get $number) (i32.const 10))))
      (local.set $number (i32.div_u (local.get $number) (i32.const 10)))
      (br_if $each (local.get $place))))

  ;; Puts the name of the next file at 16.
  (func $name_next
    (global.set $next (i32.rem_u (i32.add (global.get $next) (i32.const 1)) (global.get $files)))
    (call $digits (i32.const 22) (global.get $next)))

  (func $buffer (param $bytes i32)
    (i32.store (i32.const 64) (i32.const 65536))
    (i32.store (i32.const 68) (local.get $bytes)))

  ;; Opens what is below the only directory; the descriptor is at 84.
  (func $open (param $name i32) (param $length i32) (param $how i32) (param $rights i64) (result i32)
    (call $path_open (i32.const 3) (i32.const 0) (local.get $name) (local.get $length) (local.get $how)
      (local.get $rights) (i64.const 0) (i32.const 0) (i32.const 84)))

  ;; Opens the file `data` for reads and writes all over it.
  (func $open_data (result i32)
    (local $errno i32)
    (if (i32.ge_s (global.get $data) (i32.const 0)) (then (return (i32.const 0))))
    ;; fd_read, fd_seek, fd_write, fd_advise
    (local.set $errno (call $open (i32.const 0) (i32.const 4) (i32.const 0) (i64.const 0xc6)))
    (if (local.get $errno) (then (return (local.get $errno))))
    (global.set $data (i32.load (i32.const 84)))
    ;; random
    (call $fd_advise (global.get $data) (i64.const 0) (i64.const 0) (i32.const 2)))

  ;; The next place in the file, of so many blocks: see `Offsets`.
  (func $offset (param $blocks i64) (result i64)
    (global.set $state
      (i64.rem_u (i64.add (i64.mul (global.get $state) (i64.const 1664525)) (i64.const 1013904223)) (local.get $blocks)))
    (i64.mul (global.get $state) (i64.extend_i32_u (global.get $block))))

  (func (export "read") (param $count i32) (param $blocks i64) (result i32)
    (local $errno i32)
    (local.set $errno (call $open_data))
    (if (local.get $errno) (then (return (local.get $errno))))
    (call $buffer (global.get $block))
    (loop $each
      (if (i32.eqz (local.get $count)) (then (return (i32.const 0))))
      (local.set $count (i32.sub (local.get $count) (i32.const 1)))
      (local.set $errno (call $fd_pread (global.get $data) (i32.const 64) (i32.const 1)
        (call $offset (local.get $blocks)) (i32.const 80)))
      (br_if $each (i32.eqz (local.get $errno))))
    (local.get $errno))

  (func (export "write") (param $count i32) (param $blocks i64) (result i32)
    (local $errno i32)
    (local.set $errno (call $open_data))
    (if (local.get $errno) (then (return (local.get $errno))))
    (call $buffer (global.get $block))
    (loop $each
      (if (i32.eqz (local.get $count)) (then (return (i32.const 0))))
      (local.set $count (i32.sub (local.get $count) (i32.const 1)))
      (local.set $errno (call $fd_pwrite (global.get $data) (i32.const 64) (i32.const 1)
        (call $offset (local.get $blocks)) (i32.const 80)))
      (br_if $each (i32.eqz (local.get $errno))))
    (local.get $errno))

  (func (export "stat") (param $count i32) (result i32)
    (local $errno i32)
    (loop $each
      (if (i32.eqz (local.get $count)) (then (return (i32.const 0))))
      (local.set $count (i32.sub (local.get $count) (i32.const 1)))
      (call $name_next)
      (local.set $errno (call $path_filestat_get (i32.const 3) (i32.const 0) (i32.const 16) (i32.const 10) (i32.const 128)))
      (br_if $each (i32.eqz (local.get $errno))))
    (local.get $errno))

  (func (export "open-read-close") (param $count i32) (result i32)
    (local $errno i32)
    (call $buffer (global.get $block))
    (loop $each
      (if (i32.eqz (local.get $count)) (then (return (i32.const 0))))
      (local.set $count (i32.sub (local.get $count) (i32.const 1)))
      (call $name_next)
      ;; fd_read, fd_seek
      (local.set $errno (call $open (i32.const 16) (i32.const 10) (i32.const 0) (i64.const 6)))
      (if (local.get $errno) (then (return (local.get $errno))))
      (local.set $errno (call $fd_pread (i32.load (i32.const 84)) (i32.const 64) (i32.const 1) (i64.const 0) (i32.const 80)))
      (if (local.get $errno) (then (return (local.get $errno))))
      (local.set $errno (call $fd_close (i32.load (i32.const 84))))
      (br_if $each (i32.eqz (local.get $errno))))
    (local.get $errno))

  ;; Makes a file, writes to it, brings it to the device if that is asked for, and removes it.
  (func (export "make") (param $count i32) (param $sync i32) (result i32)
    (local $errno i32)
    (call $buffer (global.get $block))
    (loop $each
      (if (i32.eqz (local.get $count)) (then (return (i32.const 0))))
      (local.set $count (i32.sub (local.get $count) (i32.const 1)))
      ;; creat, excl; fd_seek, fd_write, fd_sync
      (local.set $errno (call $open (i32.const 32) (i32.const 8) (i32.const 5) (i64.const 0x54)))
      (if (local.get $errno) (then (return (local.get $errno))))
      (local.set $errno (call $fd_pwrite (i32.load (i32.const 84)) (i32.const 64) (i32.const 1) (i64.const 0) (i32.const 80)))
      (if (local.get $errno) (then (return (local.get $errno))))
      (if (local.get $sync)
        (then
          (local.set $errno (call $fd_sync (i32.load (i32.const 84))))
          (if (local.get $errno) (then (return (local.get $errno))))))
      (local.set $errno (call $fd_close (i32.load (i32.const 84))))
      (if (local.get $errno) (then (return (local.get $errno))))
      (local.set $errno (call $path_unlink_file (i32.const 3) (i32.const 32) (i32.const 8)))
      (br_if $each (i32.eqz (local.get $errno))))
    (local.get $errno)))
