// Programs made of single instructions, loaded into the kernel with its log, and run. Programs that are run
// are of the type `syscall`, whose context is plain memory: operands come from it, so the verifier cannot
// compute the result beforehand, and results go back in it.
#pragma once

#include <array>
#include <bpf/bpf.h>
#include <catch2/catch.hpp>
#include <cstring>
#include <string>
#include <unistd.h>
#include <utility>
#include <vector>

#include "lb/asm/disasm.hpp"
#include "lb/asm/encode.hpp"
#include "lb/asm/helpers.hpp"
#include "lb/asm/program.hpp"

#include "../insns.hpp"

namespace lb::bpf::test {

class Fd {
public:
    explicit Fd(int fd) : fd_(fd) {}
    Fd(Fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
    Fd(const Fd&) = delete;
    Fd& operator=(const Fd&) = delete;
    ~Fd()
    {
        if (fd_ >= 0) close(fd_);
    }
    int get() const { return fd_; }

private:
    int fd_ = -1;
};

struct Loaded {
    Fd fd;
    std::string log;
};

/// Loads with log level 2; a refusal fails the test and shows the log.
inline Loaded load(ProgramType type, const Insns& insns,
                   bpf_prog_load_opts options = {.sz = sizeof(bpf_prog_load_opts)})
{
    const auto code = encoded(insns);
    std::string log(1u << 20u, '\0');
    if (type == ProgramType::syscall) options.prog_flags |= BPF_F_SLEEPABLE; // the kernel asks for it
    options.log_level = 2;
    options.log_buf = log.data();
    options.log_size = static_cast<u32>(log.size());
    Fd fd(bpf_prog_load(static_cast<bpf_prog_type>(type), "lb_isa", "GPL",
                        reinterpret_cast<const bpf_insn*>(code.data()), code.size(), &options));
    log.resize(std::strlen(log.c_str()));
    INFO(log);
    REQUIRE(fd.get() >= 0);
    return {std::move(fd), log};
}

inline Context run(const Loaded& program, u64 a, u64 b)
{
    Context context{.a = a, .b = b};
    LIBBPF_OPTS(bpf_test_run_opts, options);
    options.ctx_in = &context;
    options.ctx_size_in = sizeof context;
    REQUIRE(bpf_prog_test_run_opts(program.fd.get(), &options) == 0);
    return context;
}

inline Context run(const Insns& body, u64 a = 0, u64 b = 0)
{
    return run(load(ProgramType::syscall, around(body)), a, b);
}

/// An array of one entry of two words.
inline Fd two_words(u64 first, u64 second)
{
    Fd map(bpf_map_create(BPF_MAP_TYPE_ARRAY, "words", 4, 16, 1, nullptr));
    REQUIRE(map.get() >= 0);
    const u32 key = 0;
    const std::array<u64, 2> value{first, second};
    REQUIRE(bpf_map_update_elem(map.get(), &key, value.data(), BPF_ANY) == 0);
    return map;
}

/// The BTF id of a function (BTF_KIND_FUNC) or a variable (BTF_KIND_VAR) of the running kernel; negative if
/// none.
int kernel_btf_id(const char* name, u32 kind);

/// A map of the type that addr_space_cast needs, with its first eight bytes in this process.
struct Arena {
    Fd map;
    u64* words = nullptr;
};
Arena make_arena();

} // namespace lb::bpf::test
