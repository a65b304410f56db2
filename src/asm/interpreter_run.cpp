#include "asm/interpreter_run.hpp"

#include <bit>

#include "asm/interpreter_alu.hpp"

namespace lb::bpf {

namespace {

/// The kernel lets no pointer go farther from its object (BPF_MAX_VAR_OFF).
constexpr i64 distance_max = i64{1} << 29;

bool is_wide(const Insn& insn)
{
    return class_of(insn.opcode) == Class::alu64 || class_of(insn.opcode) == Class::jmp;
}

bool has_arithmetic(const Value& value)
{
    using enum Value::Kind;
    return value.kind == packet || value.kind == stack || value.kind == map_value || value.kind == record ||
           value.kind == context;
}

/// Pointers whose distance is the same wherever the object lies.
bool same_object(const Value& a, const Value& b)
{
    using enum Value::Kind;
    const auto in_packet = [](const Value& value) {
        return value.kind == packet || value.kind == packet_end;
    };
    if (in_packet(a) && in_packet(b)) return a.id == b.id;
    return a.kind == b.kind && a.id == b.id && a.map == b.map && a.cpu == b.cpu;
}

std::string name(Reg reg) { return "r" + std::to_string(reg.index); }

} // namespace

std::string describe(const Value& value)
{
    switch (value.kind) {
    case Value::Kind::unset:
        return "not set";
    case Value::Kind::number:
        return "a number";
    case Value::Kind::context:
        return "a pointer to the context";
    case Value::Kind::packet:
        return "a pointer into the packet";
    case Value::Kind::packet_end:
        return "the end of the packet";
    case Value::Kind::stack:
        return "a pointer into the stack";
    case Value::Kind::map_value:
        return "a pointer into a map's value";
    case Value::Kind::map:
        return "a map";
    case Value::Kind::function:
        return "a function";
    case Value::Kind::record:
        return "a pointer into a ring buffer's record";
    }
    return "";
}

Run::Run(const LoadedProgram& program, Maps maps, Input input, const Environment& environment,
         const RunOptions& options)
    : program_(program),
      maps_(maps),
      environment_(environment),
      options_(options),
      input_(std::move(input))
{
    frames_.reserve(frames_max);
}

bool Run::fail(FaultKind kind, std::string message)
{
    if (!fault_) fault_ = Fault{.kind = kind, .message = std::move(message)};
    return false;
}

std::expected<Outcome, Fault> Run::go()
{
    if (!take_input()) return std::unexpected(*fault_);
    regs_[1] = {.kind = Value::Kind::context};
    if (!enter(0, 0) || !run_until(0)) return std::unexpected(described());
    if (!regs_[0].is_number())
        fail(regs_[0].is_pointer() ? FaultKind::pointer_leak : FaultKind::uninitialised_register,
             "the program's result is " + describe(regs_[0]));
    else if (records_held != 0)
        fail(FaultKind::unreleased,
             std::to_string(records_held) +
                 " records of a ring buffer are reserved still where the program ends");
    if (fault_) return std::unexpected(described());
    return outcome();
}

bool Run::run_until(std::size_t depth)
{
    while (frames_.size() > depth)
        if (!step()) return false;
    return true;
}

bool Run::enter(u32 slot, u32 return_slot)
{
    if (frames_.size() == frames_max)
        return fail(FaultKind::call_depth, "the call would make frame " + std::to_string(frames_max + 1) +
                                               "; the kernel has " + std::to_string(frames_max));
    StackFrame& frame = frames_.emplace_back();
    frame.serial = next_serial_++;
    frame.return_slot = return_slot;
    std::copy_n(regs_.begin() + 6, 4, frame.saved.begin());
    std::fill_n(regs_.begin() + 6, 4, Value{});
    regs_[0] = {};
    regs_[fp.index] = {
        .id = frame.serial, .map = static_cast<u16>(frames_.size() - 1), .kind = Value::Kind::stack};
    return go_to(slot);
}

// What the callee left in r0 stays; everything else is the caller's again, or lost.
bool Run::leave()
{
    const StackFrame& frame = frames_.back();
    const u32 return_slot = frame.return_slot;
    std::copy_n(frame.saved.begin(), 4, regs_.begin() + 6);
    std::fill_n(regs_.begin() + 1, 5, Value{});
    frames_.pop_back();
    if (frames_.empty()) return true;
    regs_[fp.index] = {
        .id = frames_.back().serial, .map = static_cast<u16>(frames_.size() - 1), .kind = Value::Kind::stack};
    return go_to(return_slot);
}

bool Run::call_back(u32 slot, Value first, Value second)
{
    const std::size_t depth = frames_.size();
    std::fill_n(regs_.begin() + 1, 5, Value{});
    regs_[1] = first;
    regs_[2] = second;
    const u32 calling = at_;
    if (!enter(slot, pc_) || !run_until(depth)) return false;
    at_ = calling;
    return true;
}

bool Run::go_to(i64 slot)
{
    const auto& slots = program_.slots_;
    if (slot < 0 || slot >= static_cast<i64>(slots.size()))
        return fail(FaultKind::bad_jump, "control leaves the program for slot " + std::to_string(slot));
    pc_ = static_cast<u32>(slot);
    if (!slots[pc_].starts)
        return fail(FaultKind::bad_jump,
                    "control enters the middle of the instruction at slot " + std::to_string(pc_ - 1));
    return true;
}

bool Run::step()
{
    at_ = pc_;
    if (steps_ == options_.steps_max)
        return fail(FaultKind::step_limit, "the program has taken " + std::to_string(steps_) + " steps");
    ++steps_;
    if (options_.trace) options_.trace(at_);
    const auto& slot = program_.slots_[at_];
    const Insn& insn = slot.insn;
    if (is_jump_class(insn)) return step_jump(insn);
    bool done = false;
    switch (class_of(insn.opcode)) {
    case Class::alu:
    case Class::alu64:
        done = step_alu(insn);
        break;
    case Class::ld:
        // A classic load beyond the packet ends the function.
        return insn.opcode == opcode_ld_imm64 ? step_ld(insn, slot.map) && go_to(i64{at_} + 2)
                                              : step_classic_load(insn);
    case Class::ldx:
        done = step_ldx(insn);
        break;
    case Class::st:
    case Class::stx:
        done = mode_of(insn.opcode) == Mode::atomic ? step_atomic(insn) : step_store(insn);
        break;
    case Class::jmp:
    case Class::jmp32:
        break;
    }
    return done && go_to(i64{at_} + 1);
}

// ---- registers

bool Run::read(Reg reg, Value& out)
{
    out = regs_[reg.index];
    if (out.kind != Value::Kind::unset) return true;
    return fail(FaultKind::uninitialised_register, name(reg) + " is read but not set");
}

bool Run::read_number(Reg reg, u64& out)
{
    Value value;
    if (!read(reg, value)) return false;
    out = value.bits;
    if (value.is_number()) return true;
    return fail(FaultKind::pointer_arithmetic, name(reg) + " is " + describe(value) + ", not a number");
}

/// The source operand of an ALU or jump instruction: a register, or the immediate with its sign.
bool Run::operand(const Insn& insn, Value& out)
{
    if (source_of(insn.opcode) == Source::reg) return read(insn.src, out);
    out = Value::number(static_cast<u64>(insn.imm));
    return true;
}

// ---- arithmetic

bool Run::step_alu(const Insn& insn)
{
    const Alu op = alu_of(insn.opcode);
    const bool wide = is_wide(insn);
    Value& dst = regs_[insn.dst.index];
    u64 number = 0;
    if (op == Alu::end || op == Alu::neg) {
        if (!read_number(insn.dst, number)) return false;
        const u64 result = op == Alu::end ? swap_bytes(insn, number) : -number;
        dst = Value::number(op == Alu::neg && !wide ? static_cast<u32>(result) : result);
        return true;
    }
    Value src;
    if (!operand(insn, src)) return false;
    if (op == Alu::mov) {
        if (insn.off == 1 || insn.off == -1)
            return fail(FaultKind::unsupported, "this kind of move is not interpreted");
        if (wide && insn.off == 0) {
            dst = src;
            return true;
        }
        if (!src.is_number()) return read_number(insn.src, number);
        number = insn.off == 0 ? src.bits : extend_sign(src.bits, static_cast<u32>(insn.off));
        dst = Value::number(wide ? number : static_cast<u32>(number));
        return true;
    }
    if (dst.kind == Value::Kind::unset) return read(insn.dst, src);
    if (!dst.is_number() || !src.is_number()) return step_pointer_alu(insn, dst, src);
    dst = Value::number(arithmetic(op, wide, insn.off == 1, dst.bits, src.bits));
    return true;
}

bool Run::step_pointer_alu(const Insn& insn, Value& dst, const Value& src)
{
    const Alu op = alu_of(insn.opcode);
    const auto refuse = [&] {
        return fail(FaultKind::pointer_arithmetic,
                    name(insn.dst) + " is " + describe(dst) + ", the other operand is " + describe(src));
    };
    if (!is_wide(insn)) return refuse();
    if (op == Alu::sub && dst.is_pointer() && src.is_pointer()) {
        if (!same_object(dst, src)) return refuse();
        dst = Value::number(dst.bits - src.bits);
        return true;
    }
    const bool added = op == Alu::add && dst.is_pointer() != src.is_pointer();
    const bool subtracted = op == Alu::sub && dst.is_pointer() && src.is_number();
    const Value& pointer = dst.is_pointer() ? dst : src;
    if (!(added || subtracted) || !has_arithmetic(pointer)) return refuse();
    Value moved = pointer;
    moved.bits = added ? dst.bits + src.bits : dst.bits - src.bits;
    if (moved.offset() <= -distance_max || moved.offset() >= distance_max)
        return fail(FaultKind::pointer_arithmetic,
                    name(insn.dst) + " would be " + describe(moved) + " " + std::to_string(moved.offset()) +
                        " bytes from its start; the kernel allows less than " + std::to_string(distance_max));
    dst = moved;
    return true;
}

// ---- ld

bool Run::step_ld(const Insn& insn, std::optional<u16> map_index)
{
    Value& dst = regs_[insn.dst.index];
    switch (static_cast<Pseudo>(insn.src.index)) {
    case Pseudo::none:
        dst = Value::number(static_cast<u64>(insn.imm));
        return true;
    case Pseudo::map_fd:
        dst = {.map = *map_index, .kind = Value::Kind::map};
        return true;
    case Pseudo::map_value:
        dst = {.bits = static_cast<u64>(insn.imm) >> 32, .map = *map_index, .kind = Value::Kind::map_value};
        return true;
    case Pseudo::func:
        dst = {.id = static_cast<u32>(i64{at_} + 1 + insn.imm), .kind = Value::Kind::function};
        return true;
    case Pseudo::btf_id:
    case Pseudo::map_idx:
    case Pseudo::map_idx_value:
        break;
    }
    return fail(FaultKind::unsupported, "this kind of ld_imm64 is not interpreted");
}

bool Run::step_classic_load(const Insn& insn)
{
    if (type() != ProgramType::sched_cls && type() != ProgramType::socket_filter)
        return fail(FaultKind::unsupported, "classic packet loads are for skb programs");
    if (regs_[6].kind != Value::Kind::context || regs_[6].bits != 0)
        return fail(FaultKind::bad_argument, "r6 is " + describe(regs_[6]) + ", not the context");
    u64 index = 0;
    if (mode_of(insn.opcode) == Mode::ind && !read_number(insn.src, index)) return false;
    const auto at = static_cast<i32>(static_cast<u32>(index) + static_cast<u32>(insn.imm));
    if (at < 0) return fail(FaultKind::unsupported, "classic packet loads below 0 are not interpreted");
    const u32 size = bytes_of(width_of(insn.opcode));
    std::fill_n(regs_.begin() + 1, 5, Value{});
    if (static_cast<u64>(at) + size > packet.length()) {
        regs_[0] = Value::number(0);
        return leave();
    }
    u64 number = 0;
    for (u32 i = 0; i < size; ++i) number = number << 8 | packet.data()[static_cast<u32>(at) + i];
    regs_[0] = Value::number(number);
    return go_to(i64{at_} + 1);
}

// ---- jumps and calls

bool Run::step_jump(const Insn& insn)
{
    if (is_exit(insn)) return leave();
    if (is_call(insn)) return call(insn);
    if (insn.opcode == opcode_gotol) return go_to(i64{at_} + 1 + insn.imm);
    bool jumps = true;
    if (!is_goto(insn) && !taken(insn, jumps)) return false;
    return go_to(i64{at_} + 1 + (jumps ? insn.off : 0));
}

bool Run::taken(const Insn& insn, bool& taken)
{
    if (insn.opcode == opcode_may_goto) {
        taken = frames_.back().rounds == environment_.loops_max;
        frames_.back().rounds += taken ? 0 : 1;
        return true;
    }
    Value dst, src;
    if (!read(insn.dst, dst) || !operand(insn, src)) return false;
    if (!dst.is_number() || !src.is_number()) return compare_pointers(insn, dst, src, taken);
    taken = compare(jmp_of(insn.opcode), is_wide(insn), dst.bits, src.bits);
    return true;
}

// No pointer is null: what may be null is a number until it has been found.
bool Run::compare_pointers(const Insn& insn, const Value& dst, const Value& src, bool& taken)
{
    constexpr u64 address =
        u64{1} << 62; // of every object: distances are small beside it, and may be negative
    const Jmp op = jmp_of(insn.opcode);
    const bool equality = op == Jmp::eq || op == Jmp::ne;
    const bool null = (dst.is_number() && dst.bits == 0) || (src.is_number() && src.bits == 0);
    const bool comparable =
        (equality && null) || (dst.is_pointer() && src.is_pointer() && same_object(dst, src));
    if (!comparable || !is_wide(insn) || op == Jmp::set)
        return fail(FaultKind::pointer_comparison,
                    name(insn.dst) + " is " + describe(dst) + ", the other side is " + describe(src));
    taken = equality && null ? op == Jmp::ne : compare(op, true, address + dst.bits, address + src.bits);
    return true;
}

bool Run::call(const Insn& insn)
{
    switch (static_cast<CallKind>(insn.src.index)) {
    case CallKind::local:
        return enter(static_cast<u32>(i64{at_} + 1 + insn.imm), at_ + 1);
    case CallKind::kfunc:
        return fail(FaultKind::unsupported,
                    "kernel function with BTF id " + std::to_string(insn.imm) + " is not interpreted");
    case CallKind::helper:
        break;
    }
    return call_helper(static_cast<u32>(insn.imm)) && go_to(i64{at_} + 1);
}

bool Run::call_helper(u32 number)
{
    calls_.push_back(static_cast<Helper>(number));
    pc_ = at_ + 1;
    if (!run_helper(*this, number)) return false;
    std::fill_n(regs_.begin() + 1, 5, Value{});
    return true;
}

} // namespace lb::bpf
