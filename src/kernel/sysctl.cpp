#include "kernel/sysctl.hpp"

#include "kernel/errors.hpp"
#include "kernel/fd.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

namespace lb::kernel {

namespace {

Result<std::string> path_of(const std::string& name)
{
    if (name.empty() || name.front() == '/' || name.find("..") != std::string::npos)
        return fail(ErrorKind::failure, "'" + name + "' is not a path below /proc/sys", EINVAL);
    return "/proc/sys/" + name;
}

} // namespace

Result<std::string> read_sysctl(const std::string& name)
{
    auto path = path_of(name);
    if (!path) return path;
    Fd fd(::open(path->c_str(), O_RDONLY | O_CLOEXEC));
    if (!fd) return sys_fail("reading " + *path, errno);
    char text[4096]; // the kernel's own limit of one value is a page
    ssize_t size = ::read(fd.get(), text, sizeof(text));
    if (size < 0) return sys_fail("reading " + *path, errno);
    std::string value(text, static_cast<std::size_t>(size));
    while (!value.empty() && value.back() == '\n') value.pop_back();
    return value;
}

Result<std::string> set_sysctl(const std::string& name, const std::string& value)
{
    auto old = read_sysctl(name);
    if (!old || *old == value) return old;
    auto path = path_of(name);
    const std::string doing = "setting " + *path + " to " + value;
    Fd fd(::open(path->c_str(), O_WRONLY | O_CLOEXEC));
    if (!fd) return sys_fail(doing, errno);
    if (::write(fd.get(), value.data(), value.size()) < 0) return sys_fail(doing, errno);
    return old;
}

} // namespace lb::kernel
