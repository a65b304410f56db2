// Errors as values. Layers below return Result<T>; each level may add context on the way up; one message is
// printed at the top, and its kind decides the exit code. Pure values; safe from any thread.
#pragma once

#include <expected>
#include <string>
#include <utility>

namespace lb {

/// What went wrong, in the terms of the person who has to act. The numbers are the exit codes of the `lb`
/// command.
enum class ErrorKind : int {
    failure = 1,        ///< something that should have worked did not
    usage = 2,          ///< the command line
    config = 3,         ///< the configuration is invalid
    host_not_ready = 5, ///< permission, interface or kernel
    verifier = 6,       ///< the kernel rejected a generated program
};

/// One failure: its kind, a message for a person, and the errno that caused it (0: none).
struct Error {
    ErrorKind kind = ErrorKind::failure;
    std::string message = {};
    int sys_errno = 0;
};

template <class T> using Result = std::expected<T, Error>;

inline std::unexpected<Error> fail(ErrorKind kind, std::string message, int sys_errno = 0)
{
    return std::unexpected(Error{kind, std::move(message), sys_errno});
}

/// The error with what was being done in front: "creating map 'flows4': no memory".
inline std::unexpected<Error> context(Error error, const std::string& doing)
{
    error.message = doing + ": " + error.message;
    return std::unexpected(std::move(error));
}

} // namespace lb
