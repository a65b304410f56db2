#include "lb/asm/interpreter.hpp"

#include <algorithm>
#include <bit>
#include <cassert>

#include "lb/asm/disasm.hpp"
#include "lb/asm/encode.hpp"

#include "asm/interpreter_run.hpp"

namespace lb::bpf {

std::string to_string(const Fault& fault)
{
    std::string text = fault.insn.empty() ? "" : "slot " + std::to_string(fault.slot) + ": " + fault.insn;
    if (!fault.file.empty()) text += " @ " + fault.file + ":" + std::to_string(fault.line);
    if (!fault.note.empty()) text += " (" + fault.note + ")";
    return text + (text.empty() ? "" : ": ") + fault.message;
}

namespace {

Fault bad_program(std::string message, u32 slot = 0)
{
    return {.kind = FaultKind::bad_program, .message = std::move(message), .slot = slot};
}

bool same_layout(const MapSpec& a, const MapSpec& b)
{
    return a.type == b.type && a.key_size == b.key_size && a.value_size == b.value_size &&
           a.max_entries == b.max_entries && a.flags == b.flags;
}

bool is_map_load(const Insn& insn)
{
    const auto kind = static_cast<Pseudo>(insn.src.index);
    return insn.opcode == opcode_ld_imm64 && (kind == Pseudo::map_fd || kind == Pseudo::map_value);
}

/// Why the address of a map's value cannot be loaded; the kernel has such addresses for arrays of one only.
std::string fault_of_address(const MapSpec& spec, u64 off)
{
    if (spec.type != MapType::array || spec.max_entries != 1)
        return "map '" + spec.name + "' is no array of one element, so its value has no fixed address";
    if (off >= spec.value_size)
        return "byte " + std::to_string(off) + " is behind the value of map '" + spec.name + "', which has " +
               std::to_string(spec.value_size);
    return "";
}

} // namespace

std::optional<Fault> LoadedProgram::decode(const std::map<std::string, u32>& symbols)
{
    const std::span<const RawInsn> code = program_.code;
    slots_.assign(code.size(), {});
    for (u32 slot = 0; slot < code.size(); slot += slots(slots_[slot].insn)) {
        const auto insn = decode_one(code.subspan(slot));
        if (!insn) return bad_program("slot " + std::to_string(slot) + ": " + insn.error().message, slot);
        slots_[slot] = {.insn = *insn, .starts = true};
    }
    for (const Reloc& reloc : program_.relocs) {
        const std::string where = "slot " + std::to_string(reloc.slot) + ": ";
        if (reloc.slot >= slots_.size() || !slots_[reloc.slot].starts)
            return bad_program(where + "a relocation where no instruction begins", reloc.slot);
        Insn& insn = slots_[reloc.slot].insn;
        if (reloc.kind == Reloc::Kind::value32) {
            const auto symbol = symbols.find(reloc.symbol);
            if (symbol == symbols.end())
                return bad_program(where + "nothing is known of the value '" + reloc.symbol + "'",
                                   reloc.slot);
            insn.imm = std::bit_cast<i32>(symbol->second);
        } else if (insn.opcode != opcode_ld_imm64) {
            return bad_program(where + "a relocation to a map where none is loaded", reloc.slot);
        } else {
            const bool value = reloc.kind == Reloc::Kind::map_value;
            insn.src = Reg{static_cast<u8>(value ? Pseudo::map_value : Pseudo::map_fd)};
        }
    }
    return std::nullopt;
}

Machine::Machine(u32 cpus) : cpus_(cpus) { assert(cpus >= 1 && cpus <= cpus_max); }

std::optional<u16> Machine::index_of(std::string_view name) const
{
    for (u16 i = 0; i < maps_.size(); ++i)
        if (maps_[i]->spec().name == name) return i;
    return std::nullopt;
}

MapMemory& Machine::map(std::string_view name) const
{
    const auto index = index_of(name);
    assert(index);
    return *maps_[*index];
}

RingMemory& Machine::ring(std::string_view name) const
{
    RingMemory* ring = map(name).ring();
    assert(ring);
    return *ring;
}

std::optional<Fault> Machine::add_map(const MapSpec& spec)
{
    if (const auto index = index_of(spec.name)) {
        if (same_layout(maps_[*index]->spec(), spec)) return std::nullopt;
        return bad_program("map '" + spec.name + "' is there already, of another type or size");
    }
    auto made = MapMemory::create(spec, cpus_);
    if (!made) return bad_program(made.error());
    maps_.push_back(std::move(*made));
    return std::nullopt;
}

std::expected<LoadedProgram, Fault> Machine::load(const Program& program,
                                                  const std::map<std::string, u32>& symbols)
{
    LoadedProgram loaded;
    loaded.program_ = program;
    if (auto fault = loaded.decode(symbols)) return std::unexpected(*fault);
    for (const MapSpec& spec : program.maps)
        if (auto fault = add_map(spec)) return std::unexpected(*fault);
    for (const Reloc& reloc : program.relocs) {
        if (reloc.kind == Reloc::Kind::value32) continue;
        const auto index = index_of(reloc.symbol);
        if (!index) return std::unexpected(bad_program("there is no map '" + reloc.symbol + "'", reloc.slot));
        LoadedProgram::Slot& slot = loaded.slots_[reloc.slot];
        slot.map = index;
        if (reloc.kind != Reloc::Kind::map_value) continue;
        if (auto why = fault_of_address(maps_[*index]->spec(), static_cast<u64>(slot.insn.imm) >> 32);
            !why.empty())
            return std::unexpected(bad_program(why, reloc.slot));
    }
    for (u32 slot = 0; slot < loaded.slots_.size(); ++slot)
        if (is_map_load(loaded.slots_[slot].insn) && !loaded.slots_[slot].map)
            return std::unexpected(bad_program(
                "slot " + std::to_string(slot) + ": a file descriptor stands for no map here", slot));
    return loaded;
}

std::expected<Outcome, Fault> Machine::run(const LoadedProgram& program, Input input,
                                           const Environment& environment, const RunOptions& options)
{
    if (environment.cpu >= cpus_)
        return std::unexpected(Fault{.kind = FaultKind::bad_input,
                                     .message = "CPU " + std::to_string(environment.cpu) +
                                                " of a machine of " + std::to_string(cpus_)});
    for (const auto& map : maps_) map->forget_dropped();
    return Run(program, maps_, std::move(input), environment, options).go();
}

Fault Run::described() const
{
    Fault fault = *fault_;
    fault.slot = at_;
    const auto& slots = program_.slots_;
    if (at_ < slots.size() && slots[at_].starts) fault.insn = disassemble_with_opcode(slots[at_].insn);
    const auto& lines = program_.program().lines;
    const auto after = std::ranges::upper_bound(lines, at_, {}, &LineInfo::slot);
    if (after == lines.begin()) return fault;
    const LineInfo& line = *std::prev(after);
    fault.file = line.file;
    fault.line = line.line;
    fault.note = line.text;
    return fault;
}

} // namespace lb::bpf
