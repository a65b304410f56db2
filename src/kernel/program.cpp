#include "kernel/program.hpp"

#include "kernel/errors.hpp"
#include "kernel/object.hpp"
#include "lb/asm/btf.hpp"

#include <bpf/bpf.h>
#include <linux/bpf.h>

#include <cerrno>
#include <cstdio>

namespace lb::kernel {

namespace {

constexpr const char* license = "Dual MIT/GPL"; // what the kernel takes as allowing its GPL-only helpers
constexpr u32 flag_xdp_has_frags = 1u << 5;     // BPF_F_XDP_HAS_FRAGS, Linux 5.18
constexpr std::size_t log_bytes_first = 64 << 10;
constexpr std::size_t log_bytes_max = 64 << 20;

/// What stays the same over the attempts to load one program.
struct Attempt {
    const bpf::Program& program;
    std::span<const bpf::RawInsn> code;
    const bpf::ProgramBtf& btf;
    int btf_fd = -1;
};

/// One BPF_PROG_LOAD: the fd, or -1 with errno set. An empty `log` asks for none.
int load_once(const Attempt& attempt, u32 log_level, std::span<char> log)
{
    bpf_prog_load_opts options{};
    options.sz = sizeof(options);
    options.expected_attach_type = static_cast<bpf_attach_type>(attempt.program.attach);
    options.prog_flags = attempt.program.frags ? flag_xdp_has_frags : 0;
    if (attempt.btf_fd >= 0) {
        options.prog_btf_fd = static_cast<u32>(attempt.btf_fd);
        options.func_info = attempt.btf.functions.data();
        options.func_info_cnt = static_cast<u32>(attempt.btf.functions.size());
        options.func_info_rec_size = sizeof(bpf::BtfFunction);
        options.line_info = attempt.btf.lines.data();
        options.line_info_cnt = static_cast<u32>(attempt.btf.lines.size());
        options.line_info_rec_size = sizeof(bpf::BtfLine);
    }
    if (!log.empty()) {
        options.log_level = log_level;
        options.log_buf = log.data();
        options.log_size = static_cast<u32>(log.size());
    }
    const auto* insns = static_cast<const bpf_insn*>(static_cast<const void*>(attempt.code.data()));
    return bpf_prog_load(static_cast<bpf_prog_type>(attempt.program.type), attempt.program.name.c_str(),
                         license, insns, attempt.code.size(), &options);
}

struct Outcome {
    Fd fd = {};
    int sys_errno = 0;
    std::string log = {};
};

/// Loads with a log, in a buffer that grows until the log fits: a full one makes even a good program fail
/// (ENOSPC).
Outcome load_with_log(const Attempt& attempt, u32 log_level)
{
    Outcome outcome;
    for (std::size_t size = log_bytes_first;; size *= 4) {
        std::vector<char> log(size);
        outcome.fd = Fd(load_once(attempt, log_level, log));
        outcome.sys_errno = outcome.fd ? 0 : errno;
        outcome.log = log.data();
        if (outcome.sys_errno != ENOSPC || size >= log_bytes_max) return outcome;
    }
}

/// The verifier's own complaint: the last line before its statistics.
std::string last_words(const std::string& log)
{
    std::string found;
    for (std::size_t at = 0; at < log.size();) {
        std::size_t end = std::min(log.find('\n', at), log.size());
        std::string line = log.substr(at, end - at);
        at = end + 1;
        if (line.starts_with("processed ") || line.starts_with("verification time ") ||
            line.starts_with("stack depth "))
            continue;
        if (!line.empty()) found = std::move(line);
    }
    return found;
}

LoadError rejected(const bpf::Program& program, Outcome outcome)
{
    std::string doing = "loading program '" + program.name + "'";
    if (outcome.log.empty()) return {sys_error(doing, outcome.sys_errno), {}};
    Error error = sys_error(doing, outcome.sys_errno, "the verifier says: " + last_words(outcome.log));
    error.kind = ErrorKind::verifier;
    return {std::move(error), std::move(outcome.log)};
}

std::string hex(const u8* bytes, std::size_t size)
{
    std::string text;
    for (std::size_t i = 0; i < size; ++i) {
        char digits[3];
        std::snprintf(digits, sizeof(digits), "%02x", bytes[i]);
        text += digits;
    }
    return text;
}

} // namespace

Result<std::vector<bpf::RawInsn>> relocate(const bpf::Program& program, const Resolver& resolver)
{
    std::vector<bpf::RawInsn> code = program.code;
    for (const auto& reloc : program.relocs) {
        const std::string where = "program '" + program.name + "', slot " + std::to_string(reloc.slot);
        const bool is_map = reloc.kind != bpf::Reloc::Kind::value32;
        // A map reference is a two-slot ld_imm64.
        if (reloc.slot + (is_map ? 1 : 0) >= code.size())
            return fail(ErrorKind::failure, where + ": the relocation is outside of the program");
        bpf::RawInsn& insn = code[reloc.slot];
        if (!is_map) {
            auto value = resolver.values.find(reloc.symbol);
            if (value == resolver.values.end())
                return fail(ErrorKind::failure,
                            where + ": nothing is known of the value '" + reloc.symbol + "'");
            insn.imm = std::bit_cast<i32>(value->second);
            continue;
        }
        auto map = resolver.maps.find(reloc.symbol);
        if (map == resolver.maps.end())
            return fail(ErrorKind::failure, where + ": there is no map '" + reloc.symbol + "'");
        auto pseudo = reloc.kind == bpf::Reloc::Kind::map_fd ? bpf::Pseudo::map_fd : bpf::Pseudo::map_value;
        insn.registers = static_cast<u8>((insn.registers & 0x0f) | static_cast<u8>(pseudo) << 4);
        insn.imm = map->second;
    }
    return code;
}

std::expected<Program, LoadError> Program::load(const bpf::Program& program, const Resolver& resolver,
                                                const LoadOptions& options)
{
    auto refuse = [](Error error) { return std::unexpected(LoadError{std::move(error), {}}); };
    if (program.name.size() >= BPF_OBJ_NAME_LEN)
        return refuse(
            sys_error("loading program '" + program.name + "'", EINVAL, "a name has at most 15 bytes"));
    auto code = relocate(program, resolver);
    if (!code) return refuse(code.error());

    bpf::ProgramBtf types;
    Fd btf;
    if (options.btf && !program.functions.empty()) {
        types = bpf::program_btf(program);
        btf = Fd(bpf_btf_load(types.blob.data(), types.blob.size(), nullptr));
    }
    Attempt attempt{program, *code, types, btf.get()};
    Outcome outcome;
    if (options.log_level != 0)
        outcome = load_with_log(attempt, options.log_level);
    else
        outcome.fd = Fd(load_once(attempt, 0, {}));
    // A rejection is explained from the path that failed, which the caller need not have asked for.
    const u32 with_path = log_paths | log_states;
    if (!outcome.fd && !(options.log_level & with_path))
        outcome = load_with_log(attempt, options.log_level | log_paths);
    if (!outcome.fd) return std::unexpected(rejected(program, std::move(outcome)));

    Program loaded;
    loaded.fd_ = std::move(outcome.fd);
    loaded.name_ = program.name;
    loaded.type_ = program.type;
    loaded.log_ = std::move(outcome.log);
    return loaded;
}

Result<Program> Program::open_id(u32 id)
{
    Program program;
    program.fd_ = Fd(bpf_prog_get_fd_by_id(id));
    if (!program.fd_) return sys_fail("opening program id " + std::to_string(id), errno);
    auto info = program.info();
    if (!info) return std::unexpected(info.error());
    program.name_ = info->name;
    program.type_ = info->type;
    return program;
}

Result<Program> Program::open_pinned(const std::string& path)
{
    Program program;
    auto fd = open_pin(path, Object::program);
    if (!fd) return std::unexpected(fd.error());
    program.fd_ = std::move(*fd);
    auto info = program.info();
    if (!info) return context(info.error(), path);
    program.name_ = info->name;
    program.type_ = info->type;
    return program;
}

Result<ProgramInfo> Program::info() const
{
    // The second call, with room for as many map ids as the first one counted.
    std::vector<u32> map_ids;
    bpf_prog_info info{};
    for (int round = 0; round < 2; ++round) {
        map_ids.resize(info.nr_map_ids);
        info = {};
        info.nr_map_ids = static_cast<u32>(map_ids.size());
        info.map_ids = reinterpret_cast<u64>(map_ids.data());
        u32 size = sizeof(info);
        if (bpf_obj_get_info_by_fd(fd(), &info, &size) != 0)
            return sys_fail("reading what program '" + name_ + "' is", errno);
    }
    map_ids.resize(std::min<std::size_t>(map_ids.size(), info.nr_map_ids));
    return ProgramInfo{.id = info.id,
                       .type = static_cast<bpf::ProgramType>(info.type),
                       .name = info.name,
                       .tag = hex(info.tag, sizeof(info.tag)),
                       .xlated_bytes = info.xlated_prog_len,
                       .jited_bytes = info.jited_prog_len,
                       .verified_insns = info.verified_insns,
                       .btf_id = info.btf_id,
                       .map_ids = std::move(map_ids)};
}

Result<void> Program::pin(const std::string& path) const
{
    if (bpf_obj_pin(fd(), path.c_str()) != 0)
        return std::unexpected(sys_error("pinning program '" + name_ + "' at " + path, errno));
    return {};
}

} // namespace lb::kernel
