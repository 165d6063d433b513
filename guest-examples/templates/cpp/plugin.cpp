// Lists the working directory: each file with its size, and the sum.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <string>
#include <vector>

#include "aio.h"

// How many requests are in flight at most. 64 keep a fast disk busy.
constexpr std::size_t IN_FLIGHT = 64;

// Waits for a request and takes what it has come to, or ends the program.
static aio_outcome take(aio_req request, const std::string &path) {
    aio_outcome outcome;
    aio_error error;
    if (aio_wait(request, &outcome, &error)) return outcome;
    std::fprintf(stderr, "%s: %s\n", path.c_str(), aio_strerror(error));
    std::exit(1);
}

static std::vector<std::string> names_in(const std::string &path) {
    aio_outcome outcome = take(aio_readdir(nullptr, path.c_str()), path);
    std::vector<std::string> names;
    for (std::size_t i = 0; i < outcome.val.names.len; i++) {
        const auto &name = outcome.val.names.ptr[i];
        names.emplace_back(reinterpret_cast<const char *>(name.ptr), name.len);
    }
    aio_outcome_free(&outcome);
    std::sort(names.begin(), names.end());
    return names;
}

int main() {
    const auto names = names_in(".");
    std::deque<aio_req> in_flight;
    auto next = names.begin();
    unsigned long long bytes = 0;
    for (const auto &name : names) {
        // A request returns at once: the host looks at some files while we print others.
        while (next != names.end() && in_flight.size() < IN_FLIGHT) in_flight.push_back(aio_lstat(nullptr, (next++)->c_str()));
        const aio_status status = take(in_flight.front(), name).val.status;
        in_flight.pop_front();
        if (status.type == AIO_TYPE(REGULAR_FILE)) {
            std::printf("%10llu  %s\n", static_cast<unsigned long long>(status.size), name.c_str());
            bytes += status.size;
        } else {
            std::printf("%10s  %s%s\n", "-", name.c_str(), status.type == AIO_TYPE(DIRECTORY) ? "/" : "");
        }
    }
    std::printf("%zu entries, %llu bytes\n", names.size(), bytes);
}
