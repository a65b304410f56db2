// Bodies of the templates in values.hpp.
#pragma once

#include "lb/asm/values.hpp"

namespace lb::bpf {

template <Scalar T> template <Scalar U>
requires(std::same_as<U, T> || (HostInteger<T> && HostInteger<U> && std::is_unsigned_v<U> &&
                                sizeof(U) < sizeof(T))) Operand<T>::Operand(const Var<U>& variable, Loc loc)
    : value(variable.reg()),
      where(loc)
{
    if (!variable.held()) wrong = detail::given_back("a variable", variable.reg(), loc);
}
template <Scalar T> template <Scalar U>
requires(std::same_as<U, T> || (HostInteger<T> && HostInteger<U> && std::is_unsigned_v<U> &&
                                sizeof(U) < sizeof(T))) Operand<T>::Operand(const Field<U>& member, Loc loc)
    : value(member.place()),
      where(loc)
{}

namespace detail {

/// The immediate forms of 64-bit instructions sign-extend 32 bits; those of 32-bit ones take either reading
/// of them.
constexpr bool fits_immediate(i64 value, bool half)
{
    return value >= INT32_MIN && value <= (half ? i64{UINT32_MAX} : i64{INT32_MAX});
}
constexpr i64 as_immediate(i64 value) { return static_cast<i32>(static_cast<u32>(static_cast<u64>(value))); }

/// The operand in a register; one is taken from the scratch pool where it is not in one yet.
template <Scalar T> Reg in_register(Builder& b, const Operand<T>& operand, Hold& scratch)
{
    if (const auto* reg = std::get_if<Reg>(&operand.value)) return *reg;
    scratch = b.take(Pool::scratch, "operand", operand.where);
    if (const auto* place = std::get_if<Place>(&operand.value))
        b.emit(load(place->width, scratch.reg(), place->base, b.off16(place->off, operand.where)),
               operand.where);
    else
        b.load_constant(scratch.reg(), std::get<i64>(operand.value), operand.where);
    return scratch.reg();
}

} // namespace detail

template <Scalar T> void Var<T>::check_use(const Operand<T>& with) const
{
    if (!held()) builder_->fail(detail::given_back("a variable", reg(), with.where));
    if (with.wrong) builder_->fail(*with.wrong);
}

template <Scalar T> Var<T>& Var<T>::operator=(const Operand<T>& from)
{
    check_use(from);
    if (const auto* number = std::get_if<i64>(&from.value))
        builder_->load_constant(reg(), *number, from.where);
    else if (const auto* place = std::get_if<Place>(&from.value))
        builder_->emit(load(place->width, reg(), place->base, builder_->off16(place->off, from.where)),
                       from.where);
    else if (is_half<T>)
        builder_->emit(alu32(Alu::mov, reg(), std::get<Reg>(from.value)), from.where);
    else
        builder_->emit(mov64(reg(), std::get<Reg>(from.value)), from.where);
    return *this;
}

template <Scalar T> Var<T>& Var<T>::alu(Alu op, const Operand<T>& by)
{
    check_use(by);
    const auto* number = std::get_if<i64>(&by.value);
    if (number && detail::fits_immediate(*number, is_half<T>)) {
        const i64 imm = detail::as_immediate(*number);
        builder_->emit(is_half<T> ? alu32(op, reg(), imm) : alu64(op, reg(), imm), by.where);
        return *this;
    }
    Hold scratch;
    const Reg right = detail::in_register(*builder_, by, scratch);
    builder_->emit(is_half<T> ? alu32(op, reg(), right) : alu64(op, reg(), right), by.where);
    return *this;
}

template <Scalar T> Cond Var<T>::compare(Jmp op, const Operand<T>& to) const
{
    check_use(to);
    if (const auto* place = std::get_if<Place>(&to.value)) {
        // `register op memory` is `memory (op turned round) register`: one load, as for any condition on
        // memory.
        const Jmp turned = op == Jmp::gt    ? Jmp::lt
                           : op == Jmp::lt  ? Jmp::gt
                           : op == Jmp::ge  ? Jmp::le
                           : op == Jmp::le  ? Jmp::ge
                           : op == Jmp::sgt ? Jmp::slt
                           : op == Jmp::slt ? Jmp::sgt
                           : op == Jmp::sge ? Jmp::sle
                           : op == Jmp::sle ? Jmp::sge
                                            : op;
        return {turned, is_half<T>, *place, reg()};
    }
    Cond cond{op, is_half<T>, reg(), i64{0}};
    if (const auto* other = std::get_if<Reg>(&to.value))
        cond.right = *other;
    else
        cond.right = std::get<i64>(to.value);
    return cond;
}

template <Scalar T> void Field<T>::check_use(const Operand<T>& with) const
{
    if (with.wrong) builder_->fail(*with.wrong);
}

template <Scalar T> const Field<T>& Field<T>::operator=(T number) const
{
    const i64 value = constant(number);
    if (detail::fits_immediate(value, is_half<T>)) {
        builder_->emit(bpf::store(width_for<sizeof(T)>, base_, builder_->off16(off_, where_),
                                  detail::as_immediate(value)),
                       where_);
        return *this;
    }
    const Hold scratch = builder_->take(Pool::scratch, "constant", where_);
    builder_->load_constant(scratch.reg(), value, where_);
    store(scratch.reg());
    return *this;
}

template <Scalar T> void Field<T>::load_into(Reg reg) const
{
    builder_->emit(load(width_for<sizeof(T)>, reg, base_, builder_->off16(off_, where_)), where_);
}

template <Scalar T> void Field<T>::store(Reg reg) const
{
    builder_->emit(bpf::store(width_for<sizeof(T)>, base_, builder_->off16(off_, where_), reg), where_);
}

template <Scalar T> void Field<T>::copy(const Field& from) const
{
    const Hold scratch = builder_->take(Pool::scratch, "copy", where_);
    from.load_into(scratch.reg());
    store(scratch.reg());
}

template <Scalar T> void Field<T>::atomic_add(const Operand<T>& by) const requires(Arithmetic<T>)
{
    check_use(by);
    Hold scratch;
    const Reg addend = detail::in_register(*builder_, by, scratch);
    builder_->emit(atomic(Atomic::add, width_for<sizeof(T)>, base_, builder_->off16(off_, where_), addend),
                   where_);
}

template <Scalar T>
void Field<T>::compare_exchange(const Var<T>& seen, const Var<T>& desired, Loc loc) const
    requires(HostInteger<T> && sizeof(T) == 8)
{
    check_use(Operand<T>(seen, loc));
    check_use(Operand<T>(desired, loc));
    if (seen.reg() != r0)
        builder_->fail(Errc::bad_instruction, "what a compare-and-exchange has seen must be in r0", loc);
    builder_->emit(atomic(Atomic::cmpxchg, Width::w64, base_, builder_->off16(off_, loc), desired.reg()),
                   loc);
}

template <Scalar T> Var<T> Field<T>::fetch(Atomic op, const Operand<T>& with, Loc loc) const
{
    Var<T> value(*builder_, builder_->take(Pool::scratch, "fetched", loc));
    value = with;
    builder_->emit(atomic(op, width_for<sizeof(T)>, base_, builder_->off16(off_, where_), value.reg()), loc);
    return value;
}

template <Scalar T> void Field<T>::add(const Operand<T>& by) const requires(Arithmetic<T>)
{
    Var<T> sum(*builder_, builder_->take(Pool::scratch, "sum", where_));
    load_into(sum.reg());
    sum += by;
    store(sum.reg());
}

} // namespace lb::bpf
