// Writes MANIFEST.sha256: the SHA-256 of every regular file below the working directory, as sha256sum writes it.
//
// A plain program with a coroutine for each path, up to 64 at a time. A function of `submit` returns a request at once: a handle
// of work that goes on in the host. `co_await` on it comes from aio.hpp.
#include <chrono>
#include <cstdio>
#include <string>
#include <vector>

#include "aio.hpp"
#include "sha256sum.hpp"

using aio::Done, aio::FileType, aio::HERE, aio::OpenFlags, aio::Outcome, aio::PIECE;
namespace submit = aio::submit;

static const std::string MANIFEST = "MANIFEST.sha256", TEMPORARY = "MANIFEST.sha256.tmp";
constexpr int IN_FLIGHT = 64;

static std::vector<std::string> todo = {"."};
static std::vector<Entry> entries;
static uint64_t bytes = 0;
static int under_way = 0;

// What each coroutine does: it puts the names in a directory on the list, or hashes a file.
static aio::Task look(std::string path) {
    struct Place { // Is given back however the coroutine ends.
        Place() { under_way++; }
        ~Place() { under_way--; }
    } place;

    auto status = aio::get<Outcome::Status>(co_await Done{submit::Lstat(HERE, path), path});
    if (status.type == FileType::kDirectory) {
        auto names = aio::get<Outcome::Names>(co_await Done{submit::Readdir(HERE, path), path});
        for (const auto &name : names.get_view()) todo.push_back(path == "." ? name.to_string() : path + "/" + name.to_string());
        co_return;
    }
    // Anything else that is no regular file, a symbolic link for instance, is left out.
    if (status.type != FileType::kRegularFile || path == MANIFEST || path == TEMPORARY) co_return;

    auto flags = OpenFlags::kRead | OpenFlags::kNoFollow;
    auto file = aio::get<Outcome::File>(co_await Done{submit::Open(HERE, path, flags, 0), path});
    sha256 hash;
    sha256_start(&hash);
    auto reading = submit::Read(file, std::nullopt, PIECE);
    for (;;) {
        auto data = aio::get<Outcome::Data>(co_await Done{std::move(reading), path});
        if (data.empty()) break;
        reading = submit::Read(file, std::nullopt, PIECE); // The host reads the next piece while this one is hashed.
        sha256_add(&hash, data.data(), data.size());
    }
    bytes += hash.length;
    char hex[65];
    sha256_finish(&hash, hex);
    entries.push_back({path, hex});
}

int main() {
    auto start = std::chrono::steady_clock::now();
    while (under_way > 0 || !todo.empty()) {
        while (under_way < IN_FLIGHT && !todo.empty()) {
            std::string path = std::move(todo.back());
            todo.pop_back();
            look(std::move(path)); // Returns at the first co_await.
        }
        aio::resume_some();
    }
    aio::replace(MANIFEST, TEMPORARY, lines(entries));
    std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
    std::printf("%zu files, %llu bytes, %.3f s\n", entries.size(), static_cast<unsigned long long>(bytes), seconds.count());
}
