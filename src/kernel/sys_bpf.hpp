// bpf(2) itself, for requests with fields that libbpf 1.1 and the headers it was built with do not have. The
// kernel accepts a request that is longer than it knows as long as the rest is zero. Any thread.
#pragma once

#include <linux/bpf.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <type_traits>

namespace lb::kernel {

template <class Request> int sys_bpf(int command, Request& request)
{
    static_assert(std::is_trivially_copyable_v<Request>);
    return static_cast<int>(::syscall(__NR_bpf, command, &request, sizeof(request)));
}

} // namespace lb::kernel
