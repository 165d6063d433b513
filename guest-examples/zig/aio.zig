//! The functions of the host that this guest uses. There is no generator of bindings for Zig, so they are written by hand, by
//! the rules of the component model's canonical ABI.
//!
//! * An imported function has the name of its interface and its own name. A method and the end of a handle have names such as
//!   `[method]request.wait` and `[resource-drop]file`.
//! * An `option` is two parameters: 1 and the value, or 0 and anything. A string is two: where it is, and how long.
//! * A result that is more than a number is written to a place that the guest names: the last parameter.
//! * The host takes memory for lists and strings in a result from `cabi_realloc`. They belong to the guest, which frees them.

const std = @import("std");

/// What lists and strings from the host are to be freed with.
pub const allocator = std.heap.wasm_allocator;

export fn cabi_realloc(old: ?[*]u8, old_size: usize, alignment: usize, size: usize) ?[*]u8 {
    const log2: std.mem.Alignment = .fromByteUnits(alignment);
    if (size == 0) return @ptrFromInt(alignment);
    const new = allocator.rawAlloc(size, log2, @returnAddress()) orelse @panic("out of memory");
    if (old_size > 0) {
        @memcpy(new[0..@min(old_size, size)], old.?[0..@min(old_size, size)]);
        allocator.rawFree(old.?[0..old_size], log2, @returnAddress());
    }
    return new;
}

/// The enums and flags have their cases in the order of wit/types.wit.
pub const ErrorCode = enum(u8) { access, already, bad_descriptor, busy, canceled, cross_device, deadlock, quota, exist, file_too_large, illegal_byte_sequence, invalid, io, is_directory, loop, too_many_links, name_too_long, no_device, no_entry, no_lock, insufficient_memory, insufficient_space, not_directory, not_empty, not_permitted, overflow, read_only, invalid_seek, timed_out, text_file_busy, too_many_open_files, unsupported, would_block, other, _ };
pub const FileType = enum(u8) { unknown, regular_file, directory, symbolic_link, fifo, socket, character_device, block_device, _ };
pub const OpenFlags = packed struct(u32) { read: bool = false, write: bool = false, append: bool = false, create: bool = false, exclusive: bool = false, truncate: bool = false, no_follow: bool = false, data_sync: bool = false, sync: bool = false, rest: u23 = 0 };

/// `list<T>` and `string`, as they lie in memory.
pub fn List(T: type) type {
    return extern struct {
        ptr: [*]T,
        len: usize,

        pub fn slice(list: @This()) []T {
            return list.ptr[0..list.len];
        }
    };
}
pub const String = List(u8);
pub const Scan = extern struct { directories: List(String), others: List(String) };

/// The head of the record `status`: what comes after it is not looked at. It ends on 128 bytes.
pub const Status = extern struct { type: FileType, mode: u16, size: u64, rest: [112]u8 };

/// `result<outcome, error>`. Which field of a union holds is told by the tag before it; `take` has looked at `is_error`.
const Result = extern struct {
    is_error: bool,
    value: extern union { outcome: Outcome, @"error": extern struct { code: ErrorCode, errno: u32 } },
};
pub const Outcome = extern struct {
    tag: u8,
    value: extern union { count: u64, data: String, file: File, status: Status, scan: Scan },
};

/// A handle is a number.
pub const File = enum(i32) {
    _,
    pub fn drop(file: File) void {
        @"[resource-drop]file"(file);
    }
};

pub const Request = enum(i32) {
    _,
    pub fn id(request: Request) u64 {
        return @"[method]request.id"(request);
    }

    /// Takes the outcome, and waits for it if need be. If the request has failed, this tells which path it was for and why,
    /// and ends the program with status 1.
    pub fn take(request: Request, path: []const u8) Outcome {
        var result: Result = undefined;
        @"[method]request.wait"(request, &result);
        @"[resource-drop]request"(request);
        if (!result.is_error) return result.value.outcome;
        const failure = result.value.@"error";
        std.debug.print("{s}: {s}, errno {d}\n", .{ path, std.enums.tagName(ErrorCode, failure.code) orelse "a new error code", failure.errno });
        std.process.exit(1);
    }
};

pub fn waitAny() []u64 {
    var list: List(u64) = undefined;
    @"wait-any"(&list);
    return list.slice();
}

// A path is always relative to the working directory here: the 0, 0 at the start of the parameters is `at`, which is none.
pub fn scandirSubmit(path: []const u8) Request {
    return scandir(0, 0, path.ptr, path.len, 0);
}
pub fn lstatSubmit(path: []const u8) Request {
    return lstat(0, 0, path.ptr, path.len);
}
pub fn openSubmit(path: []const u8, flags: OpenFlags, mode: u16) Request {
    return open(0, 0, path.ptr, path.len, flags, mode);
}
pub fn readSubmit(file: File, offset: u64, length: u32) Request {
    return read(file, 1, offset, length);
}

/// Writes a file under another name and renames it, so that nobody ever sees half of it.
pub fn replace(path: []const u8, temporary: []const u8, text: []const u8) void {
    // With nothing to do meanwhile, a request is taken as soon as it is submitted.
    const file = openSubmit(temporary, .{ .write = true, .create = true, .truncate = true, .no_follow = true }, 0o666).take(temporary).value.file;
    var rest = text;
    while (rest.len > 0) {
        const written = write(file, 0, 0, rest.ptr, @min(rest.len, 128 * 1024)).take(temporary).value.count;
        rest = rest[@intCast(written)..];
    }
    _ = fdatasync(file).take(temporary);
    _ = close(file).take(temporary);
    _ = rename(0, 0, temporary.ptr, temporary.len, 0, 0, path.ptr, path.len).take(path);
}

extern "aiohost:aio/submit@0.1.0" fn scandir(i32, i32, [*]const u8, usize, u32) Request;
extern "aiohost:aio/submit@0.1.0" fn lstat(i32, i32, [*]const u8, usize) Request;
extern "aiohost:aio/submit@0.1.0" fn open(i32, i32, [*]const u8, usize, OpenFlags, u32) Request;
extern "aiohost:aio/submit@0.1.0" fn read(File, i32, u64, u32) Request;
extern "aiohost:aio/submit@0.1.0" fn write(File, i32, u64, [*]const u8, usize) Request;
extern "aiohost:aio/submit@0.1.0" fn fdatasync(File) Request;
extern "aiohost:aio/submit@0.1.0" fn close(File) Request;
extern "aiohost:aio/submit@0.1.0" fn rename(i32, i32, [*]const u8, usize, i32, i32, [*]const u8, usize) Request;
extern "aiohost:aio/control@0.1.0" fn @"wait-any"(*List(u64)) void;
extern "aiohost:aio/types@0.1.0" fn @"[method]request.id"(Request) u64;
extern "aiohost:aio/types@0.1.0" fn @"[method]request.wait"(Request, *Result) void;
extern "aiohost:aio/types@0.1.0" fn @"[resource-drop]request"(Request) void;
extern "aiohost:aio/types@0.1.0" fn @"[resource-drop]file"(File) void;
