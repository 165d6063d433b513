// Coroutines on top of the interface `submit`: `co_await` on a request suspends the coroutine until the request is done, and the
// program goes on with another one meanwhile.
#pragma once

#include <coroutine>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <unordered_map>
#include <utility>

#include "submit_guest_cpp.h" // Made by wit-bindgen of the folder wit: the functions and types of the host.

namespace aio {

using namespace aiohost::aio::types;
namespace submit = aiohost::aio::submit;
constexpr std::nullopt_t HERE = std::nullopt; // A path is relative to the working directory.
constexpr uint32_t PIECE = 128 * 1024;

// The coroutines that wait, by the number of their request.
inline std::unordered_map<uint64_t, std::coroutine_handle<>> waiting;

// A coroutine that starts when it is called, and that nobody waits for: it is gone when it returns.
struct Task {
    struct promise_type {
        Task get_return_object() { return {}; }
        std::suspend_never initial_suspend() noexcept { return {}; }
        std::suspend_never final_suspend() noexcept { return {}; }
        void return_void() {}
        void unhandled_exception() { std::abort(); }
    };
};

// The outcome of a request: `co_await Done{submit::Lstat(HERE, path), path}`. If the request has failed, this tells on stderr
// which path it was for and why, and ends the program with status 1.
struct Done {
    Request request;
    const std::string &path;

    bool await_ready() const { return false; }
    void await_suspend(std::coroutine_handle<> coroutine) { waiting.emplace(request.Id(), coroutine); }
    Outcome await_resume() { return take(request, path); }

    static Outcome take(const Request &request, const std::string &path) {
        auto result = request.Wait();
        if (!result) {
            std::fprintf(stderr, "%s: error code %d, errno %u\n", path.c_str(), static_cast<int>(result.error().code),
                         static_cast<unsigned>(result.error().errno));
            std::exit(1);
        }
        return std::move(*result);
    }
};

// The value in an outcome, of the kind that a request has: get<Outcome::Status>(outcome).
template <class Kind> auto get(Outcome &&outcome) { return std::move(std::get<Kind>(outcome.variants).value); }

// Goes on with the coroutines whose requests are done, and waits for the first if there is none.
inline void resume_some() {
    auto done = aiohost::aio::control::WaitAny();
    for (uint64_t id : done.get_view()) waiting.extract(id).mapped().resume();
}

// Writes a file under another name and renames it, so that nobody ever sees half of it. With nothing to do meanwhile, a
// request is taken as soon as it is submitted.
inline void replace(const std::string &path, const std::string &temporary, std::string_view text) {
    auto flags = OpenFlags::kWrite | OpenFlags::kCreate | OpenFlags::kTruncate | OpenFlags::kNoFollow;
    File file = get<Outcome::File>(Done::take(submit::Open(HERE, temporary, flags, 0666), temporary));
    while (!text.empty()) {
        std::span piece(reinterpret_cast<const uint8_t *>(text.data()), std::min<size_t>(text.size(), PIECE));
        text.remove_prefix(get<Outcome::Count>(Done::take(submit::Write(file, std::nullopt, piece), temporary)));
    }
    Done::take(submit::Fdatasync(file), temporary);
    Done::take(submit::Close(std::move(file)), temporary);
    Done::take(submit::Rename(HERE, temporary, HERE, path), path);
}

} // namespace aio
