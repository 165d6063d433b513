//! Lists the working directory: each file with its size, and the sum.

const std = @import("std");
const aio = @import("aio.zig");

/// How many requests are in flight at most. 64 keep a fast disk busy.
const in_flight_max = 64;

pub fn main(init: std.process.Init) !void {
    var buffer: [4096]u8 = undefined;
    var output = std.Io.File.stdout().writer(init.io, &buffer);
    const writer = &output.interface;

    const names = aio.submitReaddir(".").take(".").names.slice();
    std.mem.sort(aio.String, names, {}, before);

    // A request returns at once: the host looks at some files while we print others.
    var requests: [in_flight_max]aio.Request = undefined;
    var next: usize = 0;
    var bytes: u64 = 0;
    for (names, 0..) |string, shown| {
        while (next < @min(names.len, shown + in_flight_max)) : (next += 1) {
            requests[next % in_flight_max] = aio.submitLstat(names[next].slice());
        }
        const name = string.slice();
        const status = requests[shown % in_flight_max].take(name).status;
        switch (status.type) {
            .regular_file => {
                try writer.print("{d: >10}  {s}\n", .{ status.size, name });
                bytes += status.size;
            },
            .directory => try writer.print("{s: >10}  {s}/\n", .{ "-", name }),
            else => try writer.print("{s: >10}  {s}\n", .{ "-", name }),
        }
    }
    try writer.print("{d} entries, {d} bytes\n", .{ names.len, bytes });
    try writer.flush();
}

fn before(_: void, one: aio.String, other: aio.String) bool {
    return std.mem.lessThan(u8, one.slice(), other.slice());
}
