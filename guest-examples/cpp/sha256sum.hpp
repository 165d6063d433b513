// The text that sha256sum writes, made of paths as the host gives them.
#pragma once

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

extern "C" {
#include "../c/sha256.h"
}

struct Entry {
    std::string path, hash;
};

// The bytes of a path. The host gives each byte that is not UTF-8, 0x80 to 0xFF, as a character from U+F780 to U+F7FF: in UTF-8
// EF 9E 80 to EF 9E BF, and EF 9F 80 to EF 9F BF.
inline std::string raw(std::string_view path) {
    std::string bytes;
    for (size_t i = 0; i < path.size(); i++) {
        auto at = [&](size_t j) { return static_cast<unsigned char>(path[i + j]); };
        if (at(0) == 0xEF && (at(1) == 0x9E || at(1) == 0x9F)) {
            bytes += static_cast<char>(0x80 | (at(1) & 1) << 6 | (at(2) & 0x3F));
            i += 2;
        } else {
            bytes += path[i];
        }
    }
    return bytes;
}

// A line for each file, in the order of the bytes of their paths.
inline std::string lines(std::vector<Entry> entries) {
    for (Entry &entry : entries) entry.path = raw(entry.path);
    std::ranges::sort(entries, {}, &Entry::path);
    std::string text;
    for (const Entry &entry : entries) {
        // Three characters are escaped, and a backslash at the start of the line tells so.
        if (entry.path.find_first_of("\\\n\r") != std::string::npos) text += '\\';
        text += entry.hash + "  ";
        for (char c : entry.path) {
            switch (c) {
            case '\\': text += "\\\\"; break;
            case '\n': text += "\\n"; break;
            case '\r': text += "\\r"; break;
            default: text += c;
            }
        }
        text += '\n';
    }
    return text;
}
