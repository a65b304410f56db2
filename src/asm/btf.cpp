#include "lb/asm/btf.hpp"

#include <algorithm>
#include <map>
#include <string>

#include "asm/btf_types.hpp"

namespace lb::bpf {

namespace {

constexpr u32 column_max = 1023;         // 10 bits of line_col
constexpr u32 line_max = (1u << 22) - 1; // the other 22
constexpr u32 arguments_max = 5;

// ---- programs
// -------------------------------------------------------------------------------------------------

// A program that names no function has one all the same: its entry.
std::vector<Function> functions_of(const Program& program)
{
    std::vector<Function> functions = program.functions;
    if (functions.empty()) functions.push_back({.name = program.name});
    std::stable_sort(functions.begin(), functions.end(),
                     [](const Function& a, const Function& b) { return a.slot < b.slot; });
    return functions;
}

// The kernel knows a context by its struct's name alone (btf_is_prog_ctx_type); given `void *` it complains
// in its log.
u32 add_context(BtfTypes& types, ProgramType type)
{
    switch (type) {
    case ProgramType::xdp:
        return types.structure("xdp_md", 0, {});
    case ProgramType::socket_filter:
    case ProgramType::sched_cls:
        return types.structure("__sk_buff", 0, {});
    case ProgramType::syscall:
        break;
    }
    return 0;
}

u32 add_entry(BtfTypes& types, const Function& function, ProgramType type)
{
    const u32 result = types.integer("int", 4, true);
    const u32 context = types.pointer(add_context(types, type));
    const u32 prototype = types.prototype(result, {{"ctx", context}});
    return types.function(function.name, prototype, BtfLinkage::global);
}

u32 add_subprogram(BtfTypes& types, const Function& function)
{
    const u32 scalar = types.integer("u64", 8, false);
    std::vector<BtfParameter> parameters;
    for (u32 i = 1; i <= std::min(function.arguments, arguments_max); ++i)
        parameters.push_back({"arg" + std::to_string(i), scalar});
    return types.function(function.name, types.prototype(scalar, parameters), BtfLinkage::static_);
}

// The kernel refuses a record inside an ld_imm64, whose second slot has opcode 0, and one past the end.
bool can_carry_line(const Program& program, u32 slot)
{
    return slot < program.code.size() && program.code[slot].opcode != 0;
}

// By slot. Where several lines claim one slot the last is meant: it was noted closest to the instruction.
std::map<u32, LineInfo> lines_by_slot(const Program& program, const std::vector<Function>& functions)
{
    std::map<u32, LineInfo> lines;
    for (const LineInfo& line : program.lines)
        if (can_carry_line(program, line.slot)) lines.insert_or_assign(line.slot, line);
    if (lines.empty()) return lines;

    for (const Function& function : functions) {
        if (lines.contains(function.slot)) continue;
        // The kernel wants a record where a function begins ("missing bpf_line_info for func#1").
        const auto after = lines.upper_bound(function.slot);
        lines.emplace(function.slot, after == lines.begin() ? LineInfo{} : std::prev(after)->second);
    }
    return lines;
}

// The verifier prints the text within a line of its log.
std::string on_one_line(std::string text)
{
    std::replace_if(
        text.begin(), text.end(), [](char c) { return c == '\n' || c == '\r' || c == '\t'; }, ' ');
    return text;
}

// ---- maps
// -----------------------------------------------------------------------------------------------------

// Those whose map_check_btf, or want of one, lets keys and values through. Maps of maps, devmaps and ring
// buffers refuse BTF.
bool takes_btf(MapType type)
{
    switch (type) {
    case MapType::hash:
    case MapType::array:
    case MapType::percpu_hash:
    case MapType::percpu_array:
    case MapType::lru_hash:
    case MapType::lpm_trie:
        return true;
    default:
        return false;
    }
}

bool is_array(MapType type) { return type == MapType::array || type == MapType::percpu_array; }

bool has_integer_size(u32 size) { return size == 1 || size == 2 || size == 4 || size == 8; }

u32 add_unsigned(BtfTypes& types, u32 size)
{
    return types.integer("u" + std::to_string(size * 8), size, false);
}

u32 add_bytes(BtfTypes& types, u32 size)
{
    const u32 element = add_unsigned(types, 1);
    return types.array(element, add_unsigned(types, 4), size);
}

u32 add_member_type(BtfTypes& types, const MemberInfo& member)
{
    if (!has_integer_size(member.size)) return add_bytes(types, member.size);
    const std::string bits = std::to_string(member.size * 8);
    switch (member.kind) {
    case MemberKind::unsigned_integer:
        return add_unsigned(types, member.size);
    case MemberKind::signed_integer:
        return types.integer("s" + bits, member.size, true);
    // BTF has no byte order: the name says it.
    case MemberKind::big_endian:
        return types.type_definition("be" + bits, add_unsigned(types, member.size));
    case MemberKind::bytes:
        break;
    }
    return add_bytes(types, member.size);
}

u32 add_struct(BtfTypes& types, const StructInfo& info)
{
    if (info.is_integer && info.members.size() == 1) return add_member_type(types, info.members.front());
    std::vector<BtfMember> members;
    for (const MemberInfo& each : info.members)
        members.push_back({each.name, add_member_type(types, each), each.offset});
    // The kernel wants rising offsets; a description may name members in any order.
    std::stable_sort(members.begin(), members.end(),
                     [](const BtfMember& a, const BtfMember& b) { return a.offset < b.offset; });
    return types.structure(info.name, info.size, members);
}

bool is_described(const StructInfo& info, u32 size) { return !info.name.empty() && info.size == size; }

u32 add_described(BtfTypes& types, const StructInfo& info, u32 size)
{
    return is_described(info, size) ? add_struct(types, info) : add_bytes(types, size);
}

} // namespace

ProgramBtf program_btf(const Program& program)
{
    const std::vector<Function> functions = functions_of(program);
    BtfTypes types;
    ProgramBtf result;
    for (const Function& each : functions)
        result.functions.push_back(
            {each.slot, each.slot == 0 ? add_entry(types, each, program.type) : add_subprogram(types, each)});
    for (const auto& [slot, line] : lines_by_slot(program, functions))
        result.lines.push_back({slot, types.string(line.file), types.string(on_one_line(line.text)),
                                std::min(line.line, line_max) << 10 | std::min(line.column, column_max)});
    result.blob = types.blob();
    return result;
}

std::optional<MapBtf> map_btf(const MapSpec& spec)
{
    const bool key_described = is_described(spec.key, spec.key_size);
    const bool value_described = is_described(spec.value, spec.value_size);
    if (!takes_btf(spec.type)) return std::nullopt;
    if (is_array(spec.type) ? !value_described : !key_described && !value_described) return std::nullopt;
    // trie_check_btf: the key is a struct (prefix length, then the bytes).
    if (spec.type == MapType::lpm_trie && (!key_described || spec.key.is_integer)) return std::nullopt;

    BtfTypes types;
    MapBtf result;
    // array_map_check_btf: the key is a 32-bit integer itself, no typedef of one.
    result.key_type_id =
        is_array(spec.type) ? add_unsigned(types, 4) : add_described(types, spec.key, spec.key_size);
    result.value_type_id = add_described(types, spec.value, spec.value_size);
    result.blob = types.blob();
    return result;
}

} // namespace lb::bpf
