#include "kernel/network_namespace.hpp"

#include <sys/socket.h>
#include <sys/stat.h>

#include "kernel/fd.hpp"

namespace lb::kernel {

u64 network_namespace_id()
{
    constexpr int netns_cookie = 71; // SO_NETNS_COOKIE, which older headers do not have
    const Fd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    u64 cookie = 0;
    socklen_t length = sizeof cookie;
    if (socket && ::getsockopt(socket.get(), SOL_SOCKET, netns_cookie, &cookie, &length) == 0) return cookie;
    struct stat status {};
    return ::stat("/proc/thread-self/ns/net", &status) == 0 ? status.st_ino : 0;
}

} // namespace lb::kernel
