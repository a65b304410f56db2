#include "asm/checker.hpp"

#include <bit>

namespace lb::bpf {
namespace {

constexpr u16 bit(Reg reg) { return static_cast<u16>(1u << reg.index); }

bool is_atomic(const Insn& i)
{
    return class_of(i.opcode) == Class::stx && mode_of(i.opcode) == Mode::atomic;
}
bool is_alu(const Insn& i) { return class_of(i.opcode) == Class::alu || class_of(i.opcode) == Class::alu64; }
bool is_load_acquire(const Insn& i)
{
    return is_atomic(i) && i.imm == static_cast<i64>(Atomic::load_acquire);
}
bool is_store_release(const Insn& i)
{
    return is_atomic(i) && i.imm == static_cast<i64>(Atomic::store_release);
}
// The packet loads of classic BPF are calls underneath.
bool destroys_arguments(const Insn& i)
{
    return is_call(i) || (class_of(i.opcode) == Class::ld &&
                          (mode_of(i.opcode) == Mode::abs || mode_of(i.opcode) == Mode::ind));
}
// r1.. as many as there are arguments.
constexpr u16 argument_registers(u32 arguments) { return static_cast<u16>(((1u << arguments) - 1) << 1); }

// The bytes of the frame that a load or store with fp as its base touches.
std::optional<StackRange> stack_access(const Insn& i)
{
    const Class c = class_of(i.opcode);
    const bool load = c == Class::ldx || is_load_acquire(i);
    if (c != Class::ldx && c != Class::st && c != Class::stx) return std::nullopt;
    if ((load ? i.src : i.dst) != fp) return std::nullopt;
    return StackRange{.off = i.off, .size = bytes_of(width_of(i.opcode))};
}

template <std::size_t N> void set_range(std::bitset<N>& bits, StackRange range)
{
    for (i64 at = range.off; at < i64{range.off} + range.size; ++at)
        if (at >= -static_cast<i64>(N) && at < 0)
            bits.set(static_cast<std::size_t>(at + static_cast<i64>(N)));
}

} // namespace

u16 registers_read(const Insn& i)
{
    const Class c = class_of(i.opcode);
    if (is_exit(i)) return bit(r0);
    if (is_call(i) || is_goto(i) || i.opcode == opcode_may_goto) return 0;
    if (c == Class::ld)
        return mode_of(i.opcode) == Mode::ind   ? static_cast<u16>(bit(i.src) | bit(r6))
               : mode_of(i.opcode) == Mode::abs ? bit(r6)
                                                : u16{0};
    if (c == Class::ldx || is_load_acquire(i)) return bit(i.src);
    if (c == Class::st) return bit(i.dst);
    if (is_atomic(i) && i.imm == static_cast<i64>(Atomic::cmpxchg))
        return static_cast<u16>(bit(i.dst) | bit(i.src) | bit(r0));
    if (c == Class::stx) return static_cast<u16>(bit(i.dst) | bit(i.src));
    // A byte swap's source bit chooses the order; it has no source register.
    const bool swap = is_alu(i) && alu_of(i.opcode) == Alu::end;
    u16 read = source_of(i.opcode) == Source::reg && !swap ? bit(i.src) : u16{0};
    if (!(is_alu(i) && alu_of(i.opcode) == Alu::mov)) read = static_cast<u16>(read | bit(i.dst));
    return read;
}

u16 registers_written(const Insn& i)
{
    const Class c = class_of(i.opcode);
    if (c == Class::ld && i.opcode != opcode_ld_imm64) return bit(r0);
    if (c == Class::ld || c == Class::ldx || is_alu(i) || is_load_acquire(i)) return bit(i.dst);
    if (!is_atomic(i)) return 0;
    if (i.imm == static_cast<i64>(Atomic::cmpxchg)) return bit(r0);
    return i.imm & 1 ? bit(i.src) : u16{0}; // the fetch bit
}

void Checker::run()
{
    const auto nodes = static_cast<u32>(b_.nodes_.size());
    for (const auto& function : b_.functions_) {
        if (!function.at) continue;
        u32 end = nodes;
        for (const auto& other : b_.functions_)
            if (other.at && *other.at > *function.at && *other.at < end) end = *other.at;
        run_function(*function.at, end, function.arguments);
    }
}

// A forward must-analysis: a node is looked at again whenever less is certain on arrival than was thought.
void Checker::run_function(u32 first, u32 end, u32 arguments)
{
    std::vector<std::optional<State>> arriving(end - first);
    if (arriving.empty()) return;
    arriving[0] = State{.regs = static_cast<u16>(argument_registers(arguments) | bit(fp))};
    std::vector<u32> work{first};
    while (!work.empty()) {
        const u32 at = work.back();
        work.pop_back();
        const Builder::Node& node = b_.nodes_[at];
        const State state = *arriving[at - first];
        if (!check_reads(node, state) || !check_stack_access(node, state)) return;
        const State leaving = after(node, state);
        auto flow = [&](u32 to) {
            if (to < first || to >= end)
                return b_.fail(Errc::falls_off_end, "control can leave the function here", node.where);
            auto& there = arriving[to - first];
            const State met = there ? there->meet(leaving) : leaving;
            if (there && met == *there) return;
            there = met;
            work.push_back(to);
        };
        if (node.label) flow(*b_.labels_[*node.label].at);
        if (!is_exit(node.insn) && !is_goto(node.insn)) flow(at + 1);
        if (b_.error_) return;
    }
}

bool Checker::check_reads(const Builder::Node& node, const State& state)
{
    u16 read = registers_read(node.insn);
    if (node.function) read = argument_registers(b_.functions_[*node.function].arguments);
    const auto missing = static_cast<u16>(read & ~state.regs);
    if (!missing) return true;
    b_.fail(Errc::uninitialised_register,
            "r" + std::to_string(std::countr_zero(missing)) + " is read but not set on every path here",
            node.where);
    return false;
}

bool Checker::check_stack_access(const Builder::Node& node, const State& state)
{
    if (const auto range = stack_access(node.insn)) {
        if (!check_in_frame(*range, node)) return false;
        if (range->off % static_cast<i32>(range->size) != 0) {
            b_.fail(Errc::unaligned_stack,
                    "a stack access of " + std::to_string(range->size) + " bytes at fp" +
                        std::to_string(range->off) + " is not aligned",
                    node.where);
            return false;
        }
        const bool reads = class_of(node.insn.opcode) == Class::ldx ||
                           (is_atomic(node.insn) && !is_store_release(node.insn));
        if (reads && !check_stack_bytes(*range, state, node)) return false;
    }
    for (const auto& range : node.reads)
        if (!check_in_frame(range, node) || !check_stack_bytes(range, state, node)) return false;
    for (const auto& range : node.writes)
        if (!check_in_frame(range, node)) return false;
    return true;
}

bool Checker::check_in_frame(StackRange range, const Builder::Node& node)
{
    const i64 end = i64{range.off} + range.size;
    if (range.off >= -static_cast<i32>(stack_bytes_max) && end <= 0) return true;
    b_.fail(Errc::stack_overflow,
            "bytes " + std::to_string(range.off) + ".." + std::to_string(end - 1) +
                " from fp are outside the frame",
            node.where);
    return false;
}

bool Checker::check_stack_bytes(StackRange range, const State& state, const Builder::Node& node)
{
    for (u32 i = 0; i < range.size; ++i) {
        const auto index =
            static_cast<std::size_t>(range.off + static_cast<i32>(i) + static_cast<i32>(stack_bytes_max));
        if (state.stack.test(index)) continue;
        b_.fail(Errc::uninitialised_stack,
                "byte " + std::to_string(i) + " of the " + std::to_string(range.size) + " at fp" +
                    std::to_string(range.off) + " is not written on every path here",
                node.where);
        return false;
    }
    return true;
}

Checker::State Checker::after(const Builder::Node& node, State state)
{
    if (destroys_arguments(node.insn))
        state.regs = static_cast<u16>((state.regs & ~argument_registers(arguments_max)) | bit(r0));
    else
        state.regs = static_cast<u16>(state.regs | registers_written(node.insn));
    const Class c = class_of(node.insn.opcode);
    if (const auto range = stack_access(node.insn); range && (c == Class::st || c == Class::stx))
        set_range(state.stack, *range);
    for (const auto& range : node.writes) set_range(state.stack, range);
    return state;
}

} // namespace lb::bpf
