#include "asm/interpreter_alu.hpp"

#include <bit>
#include <limits>
#include <type_traits>

namespace lb::bpf {

namespace {

// Division by zero gives 0, its remainder the dividend; the one quotient that does not fit wraps around.
template <class T> T divided(T a, T b)
{
    if (b == 0) return 0;
    if constexpr (std::is_signed_v<T>)
        if (a == std::numeric_limits<T>::min() && b == -1) return a;
    return static_cast<T>(a / b);
}

template <class T> T remainder_of(T a, T b)
{
    if (b == 0) return a;
    if constexpr (std::is_signed_v<T>)
        if (a == std::numeric_limits<T>::min() && b == -1) return 0;
    return static_cast<T>(a % b);
}

template <class T> T computed(Alu op, bool is_signed, T a, T b)
{
    using Signed = std::make_signed_t<T>;
    const auto distance = static_cast<u32>(b & (sizeof(T) * 8 - 1));
    switch (op) {
    case Alu::add:
        return a + b;
    case Alu::sub:
        return a - b;
    case Alu::mul:
        return a * b;
    case Alu::div:
        return is_signed ? static_cast<T>(divided(static_cast<Signed>(a), static_cast<Signed>(b)))
                         : divided(a, b);
    case Alu::mod:
        return is_signed ? static_cast<T>(remainder_of(static_cast<Signed>(a), static_cast<Signed>(b)))
                         : remainder_of(a, b);
    case Alu::or_:
        return a | b;
    case Alu::and_:
        return a & b;
    case Alu::xor_:
        return a ^ b;
    case Alu::lsh:
        return a << distance;
    case Alu::rsh:
        return a >> distance;
    case Alu::arsh:
        return static_cast<T>(static_cast<Signed>(a) >> distance);
    case Alu::mov:
    case Alu::neg:
    case Alu::end:
        break;
    }
    return b;
}

template <class T> bool holds(Jmp op, T a, T b)
{
    using Signed = std::make_signed_t<T>;
    const auto sa = static_cast<Signed>(a), sb = static_cast<Signed>(b);
    switch (op) {
    case Jmp::eq:
        return a == b;
    case Jmp::ne:
        return a != b;
    case Jmp::gt:
        return a > b;
    case Jmp::ge:
        return a >= b;
    case Jmp::lt:
        return a < b;
    case Jmp::le:
        return a <= b;
    case Jmp::set:
        return (a & b) != 0;
    case Jmp::sgt:
        return sa > sb;
    case Jmp::sge:
        return sa >= sb;
    case Jmp::slt:
        return sa < sb;
    case Jmp::sle:
        return sa <= sb;
    case Jmp::ja:
    case Jmp::call:
    case Jmp::exit:
    case Jmp::may_goto:
        break;
    }
    return false;
}

} // namespace

u64 arithmetic(Alu op, bool wide, bool is_signed, u64 dst, u64 src)
{
    if (wide) return computed<u64>(op, is_signed, dst, src);
    return computed<u32>(op, is_signed, static_cast<u32>(dst), static_cast<u32>(src));
}

u64 swap_bytes(const Insn& insn, u64 dst)
{
    const bool keeps = class_of(insn.opcode) == Class::alu && source_of(insn.opcode) == Source::imm; // to_le
    switch (insn.imm) {
    case 16:
        return keeps ? static_cast<u16>(dst) : std::byteswap(static_cast<u16>(dst));
    case 32:
        return keeps ? static_cast<u32>(dst) : std::byteswap(static_cast<u32>(dst));
    default:
        return keeps ? dst : std::byteswap(dst);
    }
}

u64 extend_sign(u64 value, u32 bits)
{
    const u32 unused = 64 - bits;
    return static_cast<u64>(static_cast<i64>(value << unused) >> unused);
}

bool compare(Jmp op, bool wide, u64 dst, u64 src)
{
    return wide ? holds<u64>(op, dst, src) : holds<u32>(op, static_cast<u32>(dst), static_cast<u32>(src));
}

u64 atomic_result(Atomic op, u64 memory, u64 operand)
{
    switch (op) {
    case Atomic::add:
    case Atomic::fetch_add:
        return memory + operand;
    case Atomic::or_:
    case Atomic::fetch_or:
        return memory | operand;
    case Atomic::and_:
    case Atomic::fetch_and:
        return memory & operand;
    case Atomic::xor_:
    case Atomic::fetch_xor:
        return memory ^ operand;
    case Atomic::xchg:
    case Atomic::cmpxchg:
    case Atomic::load_acquire:
    case Atomic::store_release:
        break;
    }
    return operand;
}

} // namespace lb::bpf
