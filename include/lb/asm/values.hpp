// Typed handles on what a program works with: Var (a number in a register), Field (a member in memory), View
// (a struct in memory). They own their register for one C++ scope and emit one to four instructions per
// statement; widths, offsets and byte orders come from the C++ types, so mixing them up does not compile. Not
// to be shared by threads.
#pragma once

#include <type_traits>

#include "lb/asm/builder.hpp"
#include "lb/asm/fields.hpp"

namespace lb::bpf {

template <class T>
concept WireInteger = std::same_as<T, be16> || std::same_as<T, be32> || std::same_as<T, be64>;
template <class T>
concept HostInteger = std::integral<T> && !std::same_as<T, bool>;
template <class T>
concept Scalar = WireInteger<T> || HostInteger<T> || std::is_enum_v<T>;
/// Arithmetic needs a whole register half: on 8 and 16 bits, carries would be left above the type's width.
template <class T>
concept Arithmetic = HostInteger<T> && sizeof(T) >= 4;
/// Order needs the sign where the machine looks for it, which it is not in narrow types.
template <class T>
concept Ordered = HostInteger<T> &&(std::is_unsigned_v<T> || sizeof(T) >= 4);

template <Scalar T> class Var;
template <Scalar T> class Field;

/// The number that a register holds for this constant: types of 8 and 16 bits zero-extended, as loads leave
/// them.
template <Scalar T> constexpr i64 constant(T value)
{
    if constexpr (WireInteger<T>)
        return static_cast<i64>(value.raw);
    else if constexpr (sizeof(T) == 1)
        return static_cast<u8>(value);
    else if constexpr (sizeof(T) == 2)
        return static_cast<u16>(value);
    else
        return static_cast<i64>(value);
}
template <Scalar T> constexpr bool is_half = sizeof(T) <= 4;

namespace detail {
template <class T> constexpr bool is_signed_scalar()
{
    if constexpr (HostInteger<T>)
        return std::is_signed_v<T>;
    else
        return false;
}

inline Error given_back(const char* what, Reg reg, Loc loc)
{
    return {Errc::uninitialised_register,
            std::string(what) + " is used after its register r" + std::to_string(reg.index) +
                " was given back",
            loc};
}

/// Whether `number` is a T, or a negative number that stands for an unsigned one's bits, as ~7 or -1 do.
template <HostInteger T, HostInteger U> constexpr bool is_one_of(U number)
{
    return std::in_range<T>(number) ||
           (std::cmp_less(number, 0) && std::in_range<std::make_signed_t<T>>(number));
}
} // namespace detail

/// A right-hand side: a constant, a variable, or a member that is loaded first. Captures the caller's line.
template <Scalar T> struct Operand {
    std::variant<i64, Reg, Place> value;
    Loc where;
    std::optional<Error> wrong = {}; ///< for the builder that gets this

    Operand(T number, Loc loc = Loc::current()) : value(constant(number)), where(loc) {}
    /// Any integer literal for an integer type; one that the type does not have is an error when it is used.
    template <HostInteger U>
    requires(HostInteger<T> && !std::same_as<U, T>) Operand(U number, Loc loc = Loc::current())
        : value(constant(static_cast<T>(number))),
          where(loc)
    {
        if (!detail::is_one_of<T>(number))
            wrong = Error{Errc::immediate_out_of_range,
                          std::to_string(number) + " is no " + (std::is_signed_v<T> ? "signed" : "unsigned") +
                              " number of " + std::to_string(sizeof(T) * 8) + " bits",
                          loc};
    }
    /// A variable of the type, or of a narrower unsigned one (registers hold those zero-extended).
    template <Scalar U>
    requires(std::same_as<U, T> ||
             (HostInteger<T> && HostInteger<U> && std::is_unsigned_v<U> && sizeof(U) < sizeof(T)))
        Operand(const Var<U>& variable, Loc loc = Loc::current());
    template <Scalar U>
    requires(std::same_as<U, T> ||
             (HostInteger<T> && HostInteger<U> && std::is_unsigned_v<U> && sizeof(U) < sizeof(T)))
        Operand(const Field<U>& member, Loc loc = Loc::current());
};

/// A T in one register, named, owned for a scope. Narrower types are held zero-extended.
template <Scalar T> class Var {
public:
    Var(Builder& builder, Hold hold) : builder_(&builder), hold_(std::move(hold)) {}
    Var(Var&&) noexcept = default;
    Var& operator=(const Var&) = delete; // write x = y.value(): a plain copy could not carry its line

    Reg reg() const { return hold_.reg(); }
    /// Neither released nor moved away.
    bool held() const { return hold_.held(); }
    Operand<T> value(Loc loc = Loc::current()) const { return Operand<T>(*this, loc); }
    /// Gives the register back before the end of the scope.
    void release() { hold_.release(); }
    Hold take() && { return std::move(hold_); }

    /// Emits `r = x`.
    Var& operator=(const Operand<T>& from);
    /// Emits `r += x`; so do the others of their kind.
    Var& operator+=(const Operand<T>& by) requires Arithmetic<T> { return alu(Alu::add, by); }
    Var& operator-=(const Operand<T>& by) requires Arithmetic<T> { return alu(Alu::sub, by); }
    Var& operator*=(const Operand<T>& by) requires Arithmetic<T> { return alu(Alu::mul, by); }
    Var& operator/=(const Operand<T>& by) requires(Arithmetic<T>&& std::is_unsigned_v<T>)
    {
        return alu(Alu::div, by);
    }
    Var& operator%=(const Operand<T>& by) requires(Arithmetic<T>&& std::is_unsigned_v<T>)
    {
        return alu(Alu::mod, by);
    }
    Var& operator<<=(const Operand<T>& by) requires Arithmetic<T> { return alu(Alu::lsh, by); }
    Var& operator>>=(const Operand<T>& by) requires(HostInteger<T>&& std::is_unsigned_v<T>)
    {
        return alu(Alu::rsh, by);
    }
    Var& operator>>=(const Operand<T>& by) requires(Arithmetic<T>&& std::is_signed_v<T>)
    {
        return alu(Alu::arsh, by);
    }
    Var& operator&=(const Operand<T>& by) { return alu(Alu::and_, by); }
    Var& operator|=(const Operand<T>& by) { return alu(Alu::or_, by); }
    Var& operator^=(const Operand<T>& by) { return alu(Alu::xor_, by); }

    Cond operator==(const Operand<T>& to) const { return compare(Jmp::eq, to); }
    Cond operator!=(const Operand<T>& to) const { return compare(Jmp::ne, to); }
    // Named, as the language would else turn these two round to find Field's, and want a bool of them.
    Cond operator==(const Field<T>& to) const { return compare(Jmp::eq, Operand<T>(to, to.where())); }
    Cond operator!=(const Field<T>& to) const { return compare(Jmp::ne, Operand<T>(to, to.where())); }
    Cond operator>(const Operand<T>& to) const requires Ordered<T>
    {
        return compare(order(Jmp::gt, Jmp::sgt), to);
    }
    Cond operator>=(const Operand<T>& to) const requires Ordered<T>
    {
        return compare(order(Jmp::ge, Jmp::sge), to);
    }
    Cond operator<(const Operand<T>& to) const requires Ordered<T>
    {
        return compare(order(Jmp::lt, Jmp::slt), to);
    }
    Cond operator<=(const Operand<T>& to) const requires Ordered<T>
    {
        return compare(order(Jmp::le, Jmp::sle), to);
    }
    /// Any of these bits is set.
    Cond has(T mask, Loc loc = Loc::current()) const { return compare(Jmp::set, Operand<T>(mask, loc)); }

private:
    static constexpr Jmp order(Jmp is_unsigned, Jmp is_signed)
    {
        return detail::is_signed_scalar<T>() ? is_signed : is_unsigned;
    }
    Cond compare(Jmp op, const Operand<T>& to) const;
    Var& alu(Alu op, const Operand<T>& by);
    void check_use(const Operand<T>& with) const;

    Builder* builder_;
    Hold hold_;
};

/// A member in memory: an lvalue T at a constant distance from a register. Captures the line where it was
/// named.
template <Scalar T> class Field {
public:
    Field(Builder& builder, Reg base, i32 off, Loc loc)
        : builder_(&builder),
          base_(base),
          off_(off),
          where_(loc)
    {}
    Field(const Field&) = default;

    /// Emits a load and a store: memory to memory of one type.
    const Field& operator=(const Field& from) const
    {
        copy(from);
        return *this;
    }
    const Field& operator=(const Var<T>& from) const
    {
        check_use(Operand<T>(from, where_));
        store(from.reg());
        return *this;
    }
    /// Emits `*(uN *)(base + off) = constant`.
    const Field& operator=(T number) const;

    Cond operator==(T to) const { return compare(Jmp::eq, to); }
    Cond operator!=(T to) const { return compare(Jmp::ne, to); }
    Cond operator>(T to) const requires(HostInteger<T>&& std::is_unsigned_v<T>)
    {
        return compare(Jmp::gt, to);
    }
    Cond operator>=(T to) const requires(HostInteger<T>&& std::is_unsigned_v<T>)
    {
        return compare(Jmp::ge, to);
    }
    Cond operator<(T to) const requires(HostInteger<T>&& std::is_unsigned_v<T>)
    {
        return compare(Jmp::lt, to);
    }
    Cond operator<=(T to) const requires(HostInteger<T>&& std::is_unsigned_v<T>)
    {
        return compare(Jmp::le, to);
    }
    Cond operator==(const Var<T>& to) const { return compare(Jmp::eq, to); }
    Cond operator!=(const Var<T>& to) const { return compare(Jmp::ne, to); }
    /// Any of these bits is set.
    Cond has(T mask) const { return compare(Jmp::set, mask); }

    /// Emits `r = *(uN *)(base + off)`; the rest of the register becomes 0.
    void load_into(Reg reg) const;
    /// Emits `*(uN *)(base + off) = r`.
    void store(Reg reg) const;
    /// Emits a load and a store: another field's bits, unconverted and zero-extended where it is narrower.
    template <class U>
    requires(sizeof(U) <= sizeof(T)) void store_bits(const Field<U>& from) const
    {
        const Hold scratch = builder_->take(Pool::scratch, "copy", where_);
        from.load_into(scratch.reg());
        store(scratch.reg());
    }
    /// Emits `lock *(uN *)(base + off) += x`: right on any number of CPUs.
    void atomic_add(const Operand<T>& by) const requires(Arithmetic<T>);
    /// Emits `r0 = atomic64_cmpxchg(base + off, r0, desired)`: stores `desired` where the memory still is
    /// what `seen`, in r0, says; in any case `seen` is then what it was. Linux 5.12.
    void compare_exchange(const Var<T>& seen, const Var<T>& desired, Loc loc = Loc::current()) const
        requires(HostInteger<T> && sizeof(T) == 8);
    /// Emits `r = x; r = atomic_fetch_add(base + off, r)`: what was there before, in a scratch register
    /// (Linux 5.12).
    Var<T> fetch_add(const Operand<T>& by, Loc loc = Loc::current()) const requires(Arithmetic<T>)
    {
        return fetch(Atomic::fetch_add, by, loc);
    }
    /// Emits `r = x; r = atomic_xchg(base + off, r)`: the same, with x there afterwards.
    Var<T> exchange(const Operand<T>& with, Loc loc = Loc::current()) const requires(Arithmetic<T>)
    {
        return fetch(Atomic::xchg, with, loc);
    }
    /// Emits load, add, store: only for memory that this CPU alone writes.
    void add(const Operand<T>& by) const requires(Arithmetic<T>);

    Place place() const { return {base_, off_, width_for<sizeof(T)>}; }
    Loc where() const { return where_; }

private:
    Cond compare(Jmp op, T to) const { return {op, is_half<T>, place(), constant(to)}; }
    Cond compare(Jmp op, const Var<T>& to) const
    {
        check_use(Operand<T>(to, where_));
        return {op, is_half<T>, place(), to.reg()};
    }
    void check_use(const Operand<T>& with) const;
    void copy(const Field& from) const;
    Var<T> fetch(Atomic op, const Operand<T>& with, Loc loc) const;

    Builder* builder_;
    Reg base_;
    i32 off_;
    Loc where_;
};

/// Memory at a constant distance from a register, which is owned or somebody else's.
class Memory {
public:
    Memory(Builder& builder, Reg base, i32 off, Hold owned)
        : builder_(&builder),
          base_(base),
          off_(off),
          owned_(std::move(owned))
    {}
    Reg base() const { return base_; }
    i32 offset() const { return off_; }
    /// Gives the register back, if it is owned, before the end of the scope.
    void release()
    {
        released_ = released_ || owned_.held();
        owned_.release();
    }

protected:
    /// The base for a member; an error where its register has been given back.
    Reg used_base(Loc loc) const
    {
        if (released_) builder_->fail(detail::given_back("a view", base_, loc));
        return base_;
    }

    Builder* builder_;
    Reg base_;
    i32 off_;
    Hold owned_;
    bool released_ = false;
};

/// A struct in memory.
template <class S> class View : public Memory {
public:
    View(Builder& builder, Reg base, i32 off, Hold owned = {}) : Memory(builder, base, off, std::move(owned))
    {}
    template <Scalar M> Field<M> operator()(M S::*member, Loc loc = Loc::current()) const
    {
        return {*builder_, used_base(loc), off_ + static_cast<i32>(offset_of(member)), loc};
    }
    /// A struct within this one. The register stays with this view.
    template <class M>
    requires(std::is_class_v<M> && !Scalar<M>) View<M>
    operator()(M S::*member, Loc loc = Loc::current()) const
    {
        return {*builder_, used_base(loc), off_ + static_cast<i32>(offset_of(member))};
    }
    /// The same bytes, cut otherwise. The register stays with this view.
    template <class T>
    requires(sizeof(T) == sizeof(S)) View<T> as(Loc loc = Loc::current())
    const { return {*builder_, used_base(loc), off_}; }
    /// Emits a load and a store for each word: memory to memory, all of it.
    void copy_from(const View& from, Loc loc = Loc::current()) const
    {
        const Hold scratch = builder_->take(Pool::scratch, "copy", loc);
        for (i32 at = 0; at < static_cast<i32>(sizeof(S)); at += static_cast<i32>(word_bytes)) {
            builder_->emit(
                load(word_width, scratch.reg(), from.used_base(loc), builder_->off16(from.off_ + at, loc)),
                loc);
            builder_->emit(store(word_width, used_base(loc), builder_->off16(off_ + at, loc), scratch.reg()),
                           loc);
        }
    }
    /// Emits, for each word, two loads and `if they differ goto label`.
    void jump_if_differs(const View& other, Label label, Loc loc = Loc::current()) const
    {
        const Hold mine = builder_->take(Pool::scratch, "word", loc);
        const Hold its = builder_->take(Pool::scratch, "other word", loc);
        for (i32 at = 0; at < static_cast<i32>(sizeof(S)); at += static_cast<i32>(word_bytes)) {
            builder_->emit(load(word_width, mine.reg(), used_base(loc), builder_->off16(off_ + at, loc)),
                           loc);
            builder_->emit(
                load(word_width, its.reg(), other.used_base(loc), builder_->off16(other.off_ + at, loc)),
                loc);
            builder_->jump_if({.op = Jmp::ne, .w32 = false, .left = mine.reg(), .right = its.reg()}, label,
                              loc);
        }
    }

private:
    static constexpr u32 word_bytes = alignof(S) > 8 ? 8 : alignof(S); // so stack accesses are aligned
    static constexpr Width word_width = width_for<word_bytes>;
    static_assert(sizeof(S) % word_bytes == 0);
};

/// A plain number in memory, as the value of a map.
template <Scalar S> class View<S> : public Memory {
public:
    View(Builder& builder, Reg base, i32 off, Hold owned = {}) : Memory(builder, base, off, std::move(owned))
    {}
    Field<S> value(Loc loc = Loc::current()) const { return {*builder_, used_base(loc), off_, loc}; }
};

/// A struct in the stack frame.
template <class S> class StackView : public View<S> {
public:
    StackView(Builder& builder, StackRange range) : View<S>(builder, fp, range.off), range_(range) {}
    StackRange range() const { return {range_.off, sizeof(S)}; }
    /// Emits stores of this byte over the whole struct, rounded up to 8 bytes: every one is written then.
    /// They are of 64 bits where the immediate, sign-extended from 32, is the same byte all over.
    void fill(u8 byte, Loc loc = Loc::current()) const
    {
        const i64 word = static_cast<i32>(byte * 0x01010101u);
        const Width width = byte == 0x00 || byte == 0xff ? Width::w64 : Width::w32;
        const u32 end = (u32{sizeof(S)} + 7) & ~7u;
        for (u32 at = 0; at < end; at += bytes_of(width))
            this->builder_->emit(
                store(width, fp, this->builder_->off16(range_.off + static_cast<i32>(at), loc), word), loc);
    }

private:
    StackRange range_;
};

} // namespace lb::bpf

#include "lb/asm/values_impl.hpp" // IWYU pragma: export
