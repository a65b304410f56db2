#include "kernel/lock.hpp"

#include "kernel/errors.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <filesystem>

namespace lb::kernel {

Result<InstanceLock> InstanceLock::acquire(const std::string& path)
{
    std::error_code refused;
    const auto folder = std::filesystem::path(path).parent_path();
    if (std::filesystem::create_directories(folder, refused); refused)
        return sys_fail("making the folder " + folder.string(), refused.value());
    Fd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    if (!fd) return sys_fail("opening the lock " + path, errno);
    if (::flock(fd.get(), LOCK_EX | LOCK_NB) != 0) {
        if (errno != EWOULDBLOCK) return sys_fail("locking " + path, errno);
        char holder[16] = {};
        ssize_t size = ::pread(fd.get(), holder, sizeof(holder) - 1, 0);
        std::string who = size > 0 ? "process " + std::string(holder) : std::string("another process");
        while (!who.empty() && who.back() == '\n') who.pop_back();
        return fail(ErrorKind::failure,
                    path + " is locked by " + who +
                        ": this instance runs already; stop it, or use another instance name",
                    EWOULDBLOCK);
    }
    // For the message above only: the lock itself is the kernel's.
    const std::string pid = std::to_string(::getpid()) + "\n";
    if (::ftruncate(fd.get(), 0) != 0 || ::pwrite(fd.get(), pid.data(), pid.size(), 0) < 0)
        return sys_fail("writing " + path, errno);
    return InstanceLock(std::move(fd));
}

namespace {

// Whether the process has this file open: the number in the file may be an earlier holder's, and its number
// another's by now.
bool has_open(int pid, const std::string& path)
{
    std::error_code error;
    const auto folder = "/proc/" + std::to_string(pid) + "/fd";
    for (const auto& fd : std::filesystem::directory_iterator(folder, error)) {
        std::error_code unreadable;
        if (std::filesystem::read_symlink(fd.path(), unreadable) == path) return true;
    }
    return false;
}

} // namespace

std::optional<int> InstanceLock::holder(const std::string& path)
{
    const Fd fd(::open(path.c_str(), O_RDWR | O_CLOEXEC));
    if (!fd || ::flock(fd.get(), LOCK_EX | LOCK_NB) == 0) return std::nullopt;
    char text[16] = {};
    if (::pread(fd.get(), text, sizeof(text) - 1, 0) <= 0) return std::nullopt;
    int pid = 0;
    if (std::from_chars(text, text + sizeof(text), pid).ec != std::errc{} || !has_open(pid, path))
        return std::nullopt;
    return pid;
}

} // namespace lb::kernel
