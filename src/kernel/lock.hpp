// One process per instance: a lock on a file, which the kernel gives back when the process ends, however it
// ends. Owns the fd; the file stays. One thread.
#pragma once

#include <optional>
#include <string>

#include "kernel/fd.hpp"
#include "lb/base/result.hpp"

namespace lb::kernel {

class InstanceLock {
public:
    InstanceLock() = default;
    /// Takes the lock on `path` (made where absent, with its folder), or says which process has it.
    static Result<InstanceLock> acquire(const std::string& path);
    /// The process that holds the lock on `path`; none: it is free, or its holder is just coming or going.
    static std::optional<int> holder(const std::string& path);
    explicit operator bool() const { return static_cast<bool>(fd_); }

private:
    explicit InstanceLock(Fd fd) : fd_(std::move(fd)) {}
    Fd fd_;
};

} // namespace lb::kernel
