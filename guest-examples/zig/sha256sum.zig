//! The text that sha256sum writes, made of paths as the host gives them.

const std = @import("std");
const Allocator = std.mem.Allocator;

pub const Entry = struct {
    path: []const u8,
    hash: [32]u8,

    fn before(_: void, a: Entry, b: Entry) bool {
        return std.mem.lessThan(u8, a.path, b.path);
    }
};

/// A line for each file, in the order of the bytes of their paths. The paths in the entries become bytes.
pub fn lines(allocator: Allocator, entries: []Entry) ![]const u8 {
    for (entries) |*entry| entry.path = try raw(allocator, entry.path);
    std.mem.sort(Entry, entries, {}, Entry.before);
    var text: std.ArrayList(u8) = .empty;
    for (entries) |entry| {
        // Three characters are escaped, and a backslash at the start of the line tells so.
        if (std.mem.findAny(u8, entry.path, "\\\n\r") != null) try text.append(allocator, '\\');
        try text.appendSlice(allocator, &std.fmt.bytesToHex(entry.hash, .lower));
        try text.appendSlice(allocator, "  ");
        for (entry.path) |byte| switch (byte) {
            '\\' => try text.appendSlice(allocator, "\\\\"),
            '\n' => try text.appendSlice(allocator, "\\n"),
            '\r' => try text.appendSlice(allocator, "\\r"),
            else => try text.append(allocator, byte),
        };
        try text.append(allocator, '\n');
    }
    return text.items;
}

/// The bytes of a path. The host gives each byte that is not UTF-8, 0x80 to 0xFF, as a character from U+F780 to U+F7FF.
fn raw(allocator: Allocator, path: []const u8) ![]const u8 {
    var bytes: std.ArrayList(u8) = try .initCapacity(allocator, path.len);
    var characters = (try std.unicode.Utf8View.init(path)).iterator();
    while (characters.nextCodepointSlice()) |character| {
        switch (try std.unicode.utf8Decode(character)) {
            0xF780...0xF7FF => |code| bytes.appendAssumeCapacity(@intCast(code - 0xF700)),
            else => bytes.appendSliceAssumeCapacity(character),
        }
    }
    return bytes.items;
}
