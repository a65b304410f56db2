#include "kernel/errors.hpp"

#include <cerrno>
#include <cstring>

namespace lb::kernel {

namespace {

// The kernel's own ENOTSUPP, which leaks to user space from some of its map and driver operations; libc has
// no name.
constexpr int enotsupp = 524;

const char* usual_hint(int sys_errno)
{
    switch (sys_errno) {
    case EPERM:
    case EACCES:
        return "run as root, or with CAP_BPF, CAP_PERFMON and CAP_NET_ADMIN";
    case ENOSYS:
    case EOPNOTSUPP:
    case enotsupp:
        return "this kernel or driver does not have it";
    case ENODEV:
    case ENXIO:
        return "there is no such interface";
    case EMFILE:
        return "raise the limit of open files (ulimit -n, LimitNOFILE)";
    case EROFS:
        return "the file system is read-only here";
    default:
        return "";
    }
}

std::string describe(int sys_errno)
{
    if (sys_errno == enotsupp) return "Operation not supported (ENOTSUPP)";
    const char* text = strerrordesc_np(sys_errno);
    const char* name = strerrorname_np(sys_errno);
    if (!text || !name) return "errno " + std::to_string(sys_errno);
    return std::string(text) + " (" + name + ")";
}

} // namespace

ErrorKind kind_of(int sys_errno)
{
    switch (sys_errno) {
    case EPERM:
    case EACCES:
    case ENODEV:
    case ENXIO:
    case ENOSYS:
    case EOPNOTSUPP:
    case enotsupp:
    case EROFS:
    case EMFILE:
    case ENFILE:
        return ErrorKind::host_not_ready;
    default:
        return ErrorKind::failure;
    }
}

Error sys_error(const std::string& doing, int sys_errno, const std::string& hint)
{
    if (sys_errno == 0) return {ErrorKind::failure, hint.empty() ? doing : doing + ": " + hint, 0};
    std::string advice = hint.empty() ? usual_hint(sys_errno) : hint;
    std::string message = doing + ": " + describe(sys_errno);
    if (!advice.empty()) message += ": " + advice;
    return {kind_of(sys_errno), std::move(message), sys_errno};
}

} // namespace lb::kernel
