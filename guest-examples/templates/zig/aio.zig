//! The functions of the host that this plugin uses. There is no generator of bindings for Zig, so they are written by hand, by
//! the rules of the component model's canonical ABI: add more in the same way. `wit/deps/aiohost-aio/submit.wit` has them all.
//!
//! * An `option` is two parameters: 1 and the value, or 0 and anything. A string is two: where it is, and how long.
//! * A result that is more than a number is written to a place that the guest names: the last parameter.
//! * The host takes memory for lists and strings in a result from `cabi_realloc`. They belong to the guest.

const std = @import("std");

pub const allocator = std.heap.wasm_allocator;

export fn cabi_realloc(old: ?[*]u8, old_size: usize, alignment: usize, size: usize) ?[*]u8 {
    // The host only ever asks for new memory.
    std.debug.assert(old == null and old_size == 0);
    if (size == 0) return @ptrFromInt(alignment);
    return allocator.rawAlloc(size, .fromByteUnits(alignment), @returnAddress()) orelse @panic("out of memory");
}

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

/// The cases are in the order of wit/deps/aiohost-aio/types.wit.
pub const FileType = enum(u8) { unknown, regular_file, directory, symbolic_link, _ };

/// The head of the record `status`: what comes after it is not looked at. It ends on 128 bytes.
pub const Status = extern struct { type: FileType, mode: u16, size: u64, rest: [112]u8 };

/// `result<outcome, error>`. Which field of a union holds is known from the request.
const Result = extern struct {
    is_error: bool,
    value: extern union {
        outcome: extern struct { tag: u8, value: Outcome },
        @"error": extern struct { code: u8, errno: u32 },
    },
};
pub const Outcome = extern union { names: List(String), status: Status };

/// A request on its way. A handle is a number.
pub const Request = enum(i32) {
    _,

    /// Waits until it is done, and takes what it has come to. If it has failed, this tells which path it was for, and ends the
    /// program.
    pub fn take(request: Request, path: []const u8) Outcome {
        var result: Result = undefined;
        @"[method]request.wait"(request, &result);
        @"[resource-drop]request"(request);
        if (!result.is_error) return result.value.outcome.value;
        std.debug.print("{s}: errno {d}\n", .{ path, result.value.@"error".errno });
        std.process.exit(1);
    }
};

// `0, 0` is the directory to start from, which is none: the working directory.
pub fn submitReaddir(path: []const u8) Request {
    return readdir(0, 0, path.ptr, path.len);
}
pub fn submitLstat(path: []const u8) Request {
    return lstat(0, 0, path.ptr, path.len);
}

extern "aiohost:aio/submit@0.1.0" fn readdir(i32, i32, [*]const u8, usize) Request;
extern "aiohost:aio/submit@0.1.0" fn lstat(i32, i32, [*]const u8, usize) Request;
extern "aiohost:aio/types@0.1.0" fn @"[method]request.wait"(Request, *Result) void;
extern "aiohost:aio/types@0.1.0" fn @"[resource-drop]request"(Request) void;
