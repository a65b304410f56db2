// Failed system calls as errors: what was done to which object, what the kernel said, and what can be done
// about it. The kind follows the errno: want of permission, of a device or of a kernel feature is the host's,
// not lb's. Pure; safe from any thread.
#pragma once

#include <string>

#include "lb/base/result.hpp"

namespace lb::kernel {

/// host_not_ready for EPERM, EACCES, ENODEV, ENOSYS and their like; failure for the rest.
ErrorKind kind_of(int sys_errno);

/// "creating map 'flows4': Operation not permitted (EPERM): run as root, or ...". `hint` replaces the usual
/// advice.
Error sys_error(const std::string& doing, int sys_errno, const std::string& hint = {});
inline std::unexpected<Error> sys_fail(const std::string& doing, int sys_errno, const std::string& hint = {})
{
    return std::unexpected(sys_error(doing, sys_errno, hint));
}

} // namespace lb::kernel
