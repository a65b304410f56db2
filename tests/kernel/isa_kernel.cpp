#include "isa_kernel.hpp"

#include <bpf/btf.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "need.hpp"

namespace lb::bpf::test {
namespace {

// Newer than the headers of Debian 12; the kernel's numbers.
constexpr u32 map_type_arena = 33;
constexpr u32 map_flag_mmapable = 1u << 10u;

const bool ready = [] {
    lb::test::need_bpf();
    lb::test::need_kernel(6, 15, "every instruction");
    return true;
}();

} // namespace

int kernel_btf_id(const char* name, u32 kind)
{
    static btf* const kernel = btf__load_vmlinux_btf();
    REQUIRE(kernel);
    return btf__find_by_name_kind(kernel, name, kind);
}

Arena make_arena()
{
    bpf_attr attr{};
    attr.map_type = map_type_arena;
    attr.max_entries = 1;
    attr.map_flags = map_flag_mmapable;
    Fd map(static_cast<int>(syscall(SYS_bpf, BPF_MAP_CREATE, &attr, sizeof attr)));
    REQUIRE(map.get() >= 0);
    void* words = mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, map.get(), 0);
    REQUIRE(words != MAP_FAILED);
    return {std::move(map), static_cast<u64*>(words)};
}

} // namespace lb::bpf::test
