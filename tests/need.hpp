// For test executables that need more than any machine has: says why nothing was tested and ends with 77,
// which meson shows as a skip. To be called before the first test, from a static object or from main.
#pragma once

#include <bpf/bpf.h>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <sys/utsname.h>
#include <unistd.h>

namespace lb::test {

[[noreturn]] inline void skip(const std::string& reason)
{
    std::fprintf(stderr, "skipped: %s\n", reason.c_str());
    std::exit(77);
}

inline void need_root()
{
    if (geteuid() != 0) skip("needs root");
}

/// Root whom bpf(2) obeys: in a container it may not.
inline void need_bpf()
{
    need_root();
    const int map = bpf_map_create(BPF_MAP_TYPE_ARRAY, "need_bpf", 4, 4, 1, nullptr);
    if (map < 0) skip("needs the right to call bpf(2)");
    close(map);
}

/// A kernel of this version; `what` has come with it.
inline void need_kernel(unsigned major, unsigned minor, const std::string& what)
{
    utsname host{};
    unsigned has_major = 0, has_minor = 0;
    uname(&host);
    std::sscanf(host.release, "%u.%u", &has_major, &has_minor);
    if (has_major > major || (has_major == major && has_minor >= minor)) return;
    skip("needs Linux " + std::to_string(major) + "." + std::to_string(minor) + ", which has " + what);
}

} // namespace lb::test
