//! Writes MANIFEST.sha256: the SHA-256 of every regular file below the working directory, as sha256sum writes it.
//!
//! A plain program, and still with 64 requests in flight. A function of `submit` returns a request at once: a handle of work
//! that goes on in the host. `waitAny` waits until any of them is done, and tells which.

const std = @import("std");
const aio = @import("aio.zig");
const sha256sum = @import("sha256sum.zig");
const Sha256 = std.crypto.hash.sha2.Sha256;

const manifest = "MANIFEST.sha256";
const temporary = "MANIFEST.sha256.tmp";
const in_flight_max = 64;
const piece = 128 * 1024;

/// A path, and what is to be done next with it.
const Job = struct {
    path: []const u8,
    step: union(enum) { scan, status, open, read: struct { file: aio.File, offset: u64, hash: Sha256 } },

    fn submit(job: Job) aio.Request {
        return switch (job.step) {
            .scan => aio.scandirSubmit(job.path),
            .status => aio.lstatSubmit(job.path),
            .open => aio.openSubmit(job.path, .{ .read = true, .no_follow = true }, 0),
            .read => |read| aio.readSubmit(read.file, read.offset, piece),
        };
    }
};

/// All that is known so far.
const Walk = struct {
    arena: std.mem.Allocator, // Paths are held to the end.
    todo: std.ArrayList(Job) = .empty,
    entries: std.ArrayList(sha256sum.Entry) = .empty,
    bytes: u64 = 0,

    /// Takes the outcome of a job's request, and puts on the list what is to be done after it.
    fn advance(walk: *Walk, job: Job, request: aio.Request) !void {
        const outcome = request.take(job.path).value;
        switch (job.step) {
            .scan => {
                for (outcome.scan.directories.slice()) |name| try walk.add(job.path, name.slice(), .scan);
                for (outcome.scan.others.slice()) |name| try walk.add(job.path, name.slice(), .status);
            },
            .status => {
                if (outcome.status.type != .regular_file) return; // A symbolic link for instance.
                if (std.mem.eql(u8, job.path, manifest) or std.mem.eql(u8, job.path, temporary)) return;
                try walk.todo.append(walk.arena, .{ .path = job.path, .step = .open });
            },
            .open => try walk.todo.append(walk.arena, .{ .path = job.path, .step = .{
                .read = .{ .file = outcome.file, .offset = 0, .hash = .init(.{}) },
            } }),
            .read => |read| {
                const data = outcome.data.slice();
                defer aio.allocator.free(data);
                var next = read;
                next.hash.update(data);
                next.offset += data.len;
                if (data.len > 0) return walk.todo.append(walk.arena, .{ .path = job.path, .step = .{ .read = next } });
                read.file.drop();
                walk.bytes += read.offset;
                try walk.entries.append(walk.arena, .{ .path = job.path, .hash = next.hash.finalResult() });
            },
        }
    }

    fn add(walk: *Walk, directory: []const u8, name: []const u8, step: @FieldType(Job, "step")) !void {
        const top = std.mem.eql(u8, directory, ".");
        const path = if (top) name else try std.fmt.allocPrint(walk.arena, "{s}/{s}", .{ directory, name });
        try walk.todo.append(walk.arena, .{ .path = path, .step = step });
    }
};

pub fn main(init: std.process.Init) !void {
    const start = std.Io.Clock.awake.now(init.io);
    var walk: Walk = .{ .arena = init.arena.allocator() };
    try walk.todo.append(walk.arena, .{ .path = ".", .step = .scan });
    var in_flight: std.AutoHashMapUnmanaged(u64, struct { Job, aio.Request }) = .empty;
    while (walk.todo.items.len > 0 or in_flight.count() > 0) {
        // What was begun is on top and goes on first, so that few files are open.
        while (in_flight.count() < in_flight_max) {
            const job = walk.todo.pop() orelse break;
            const request = job.submit();
            try in_flight.put(walk.arena, request.id(), .{ job, request });
        }
        const done = aio.waitAny();
        defer aio.allocator.free(done);
        for (done) |id| {
            const job, const request = in_flight.fetchRemove(id).?.value;
            try walk.advance(job, request);
        }
    }
    aio.replace(manifest, temporary, try sha256sum.lines(walk.arena, walk.entries.items));
    const seconds: f64 = @as(f64, @floatFromInt(start.untilNow(init.io, .awake).nanoseconds)) / 1e9;
    var line: [100]u8 = undefined;
    const text = try std.fmt.bufPrint(&line, "{d} files, {d} bytes, {d:.3} s\n", .{ walk.entries.items.len, walk.bytes, seconds });
    try std.Io.File.stdout().writeStreamingAll(init.io, text);
}
