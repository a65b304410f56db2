#include <spdlog/fmt/fmt.h>

#include <array>
#include <boost/json.hpp>

#include "cli/commands.hpp"
#include "cli/programs.hpp"
#include "lb/asm/disasm.hpp"
#include "model/plan.hpp"

namespace lb::cli {
namespace {

namespace json = boost::json;
using bpf::Program;

// The newest kernel that the listings are made for when no other is asked for: the machine's own has no say,
// so that one configuration dumps the same everywhere.
constexpr std::string_view default_kernel = "6.18";

std::string hex_of(const bpf::RawInsn& insn)
{
    std::array<u8, sizeof(bpf::RawInsn)> bytes{};
    __builtin_memcpy(bytes.data(), &insn, sizeof insn);
    std::string text;
    for (const u8 byte : bytes) text += fmt::format("{:02x}", byte);
    return text;
}

void print_hex(const Program& program)
{
    fmt::print("# {}: {} instructions\n", program.name, program.code.size());
    for (const auto& insn : program.code) fmt::print("{}\n", hex_of(insn));
}

void print_c(const Program& program)
{
    fmt::print("/* Map fds and interface indices are 0: see the relocations in --format json. */\n");
    fmt::print("static const struct bpf_insn {}[] = {{\n", program.name);
    for (const auto& insn : program.code)
        fmt::print("\t{{ .code = 0x{:02x}, .dst_reg = {}, .src_reg = {}, .off = {}, .imm = {} }},\n",
                   insn.opcode, insn.registers & 0xf, insn.registers >> 4, insn.off, insn.imm);
    fmt::print("}};\n");
}

json::object to_json(const Program& program)
{
    json::array code, relocs, lines, maps, exits;
    for (const auto& insn : program.code) code.emplace_back(hex_of(insn));
    for (const auto& reloc : program.relocs) {
        const char* kind = reloc.kind == bpf::Reloc::Kind::map_fd      ? "map-fd"
                           : reloc.kind == bpf::Reloc::Kind::map_value ? "map-value"
                                                                       : "value32";
        relocs.push_back(json::object{{"slot", reloc.slot}, {"kind", kind}, {"symbol", reloc.symbol}});
    }
    for (const auto& line : program.lines)
        lines.push_back(
            json::object{{"slot", line.slot}, {"file", line.file}, {"line", line.line}, {"note", line.text}});
    for (const auto& map : program.maps)
        maps.push_back(json::object{{"name", map.name},
                                    {"type", static_cast<u32>(map.type)},
                                    {"key-size", map.key_size},
                                    {"value-size", map.value_size},
                                    {"max-entries", map.max_entries},
                                    {"flags", map.flags}});
    for (const auto& exit : program.exits)
        exits.push_back(
            json::object{{"reason", exit.name}, {"number", exit.reason}, {"verdict", exit.verdict}});
    return {{"name", program.name}, {"type", program.type == bpf::ProgramType::xdp ? "xdp" : "sched_cls"},
            {"instructions", code}, {"relocations", relocs},
            {"lines", lines},       {"maps", maps},
            {"exits", exits}};
}

void print_raw(const Program& program)
{
    for (const auto& insn : program.code) {
        std::array<char, sizeof insn> bytes{};
        __builtin_memcpy(bytes.data(), &insn, sizeof insn);
        fmt::print("{}", std::string_view(bytes.data(), bytes.size()));
    }
}

} // namespace

Result<void> dump(const Options& options)
{
    const auto config = read_configuration(options);
    if (!config) return std::unexpected(config.error());
    const auto plan = model::make_plan(*config);
    if (!plan) return std::unexpected(plan.error());
    const auto features = KernelFeatures::from_version(options.kernel.value_or(std::string(default_kernel)));
    if (!features) return std::unexpected(features.error());
    if (options.format == DumpFormat::raw && options.program == Which::all)
        return fail(ErrorKind::usage,
                    "--format raw writes one program: say --program ingress, egress, inside or siit");
    const datapath::Maps maps(*plan);
    const auto programs = generate(*plan, maps, options.program, *features);
    if (!programs) return std::unexpected(programs.error());
    json::array all;
    for (const auto& program : *programs) {
        switch (options.format) {
        case DumpFormat::text:
            fmt::print("{}\n", bpf::disassemble(program));
            break;
        case DumpFormat::hex:
            print_hex(program);
            break;
        case DumpFormat::raw:
            print_raw(program);
            break;
        case DumpFormat::c:
            print_c(program);
            break;
        case DumpFormat::json:
            all.push_back(to_json(program));
            break;
        }
    }
    if (options.format == DumpFormat::json) fmt::print("{}\n", json::serialize(all));
    return {};
}

} // namespace lb::cli
