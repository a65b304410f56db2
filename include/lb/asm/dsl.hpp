// The typed layer: a Builder with statements on typed values, maps, helpers and packets. This is the header
// to include.
//
//     Dsl b("count", ProgramType::xdp, AttachType::xdp);
//     Label pass = b.label("pass");
//     XdpPacket packet(b);
//     auto [eth, ip] = packet.claim<wire::Ethernet, wire::Ipv4>(pass);
//     b.jump_if(eth(&wire::Ethernet::type) != wire::ethertype_ipv4, pass);
//
// One Dsl makes one Program, on one thread. See Builder for errors and registers.
#pragma once

#include <initializer_list>
#include <tuple>

#include "lb/asm/builder.hpp"
#include "lb/asm/contexts.hpp"
#include "lb/asm/values.hpp"

namespace lb::bpf {

/// A number in the stack frame: a key of an array, or a value that must be in memory.
template <Scalar T> class StackVar {
public:
    StackVar(Builder& builder, StackRange range) : builder_(&builder), range_(range) {}
    Field<T> operator()(Loc loc = Loc::current()) const { return {*builder_, fp, range_.off, loc}; }
    StackRange range() const { return {range_.off, sizeof(T)}; }

private:
    Builder* builder_;
    StackRange range_;
};

/// An argument of a helper: a number, a variable (given up when moved in), a map, or memory.
class Argument {
public:
    template <HostInteger T> Argument(T number) : value_(static_cast<i64>(number)) {}
    template <Scalar T>
    Argument(const Var<T>& variable) : value_(variable.reg()),
                                       given_back_(!variable.held())
    {}
    template <Scalar T>
    Argument(Var<T>&& variable)
        : value_(variable.reg()),
          hold_(std::move(variable).take()),
          given_back_(!hold_.held())
    {}
    Argument(Reg reg) : value_(reg) {}
    Argument(const MapSpec& map) : value_(&map) {}
    template <class S>
    Argument(const StackView<S>& memory) : value_(Pointer{fp, memory.offset()}),
                                           read_(memory.range())
    {}
    template <Scalar T>
    Argument(const StackVar<T>& memory) : value_(Pointer{fp, memory.range().off}),
                                          read_(memory.range())
    {}
    template <class S> Argument(const View<S>& memory) : value_(Pointer{memory.base(), memory.offset()}) {}

private:
    friend class Dsl;
    struct Pointer {
        Reg base;
        i32 off;
    };
    std::variant<i64, Reg, const MapSpec*, Pointer> value_;
    mutable Hold hold_ = {}; // an initializer_list's elements are const, yet the call takes the register over
    std::optional<StackRange> read_ = {};
    bool given_back_ = false;
};

class Dsl : public Builder {
public:
    using Builder::Builder;
    using Builder::call;

    /// A number in a scratch register (r0-r5), which the next call would destroy. Emits `r = x`.
    template <Scalar T>
    Var<T> let(std::string_view name, const Operand<std::type_identity_t<T>>& from, Loc loc = Loc::current())
    {
        return held<T>(Pool::scratch, name, from, loc);
    }
    /// A number in a saved register (r6-r9), which calls keep. Emits `r = x`.
    template <Scalar T>
    Var<T> keep(std::string_view name, const Operand<std::type_identity_t<T>>& from, Loc loc = Loc::current())
    {
        return held<T>(Pool::saved, name, from, loc);
    }
    /// A field's number in host order. Emits a load and `r = beN r`.
    template <std::unsigned_integral T>
    Var<T> let_host(std::string_view name, const Field<BigEndian<T>>& from, Loc loc = Loc::current())
    {
        Var<T> number(*this, take(Pool::scratch, name, loc));
        from.load_into(number.reg());
        emit(to_be(number.reg(), i64{sizeof(T) * 8}), loc);
        return number;
    }
    /// The same, zero-extended to a wider type.
    template <std::unsigned_integral W, std::unsigned_integral T>
    requires(sizeof(T) <= sizeof(W)) Var<W> let_host_as(std::string_view name,
                                                        const Field<BigEndian<T>>& from,
                                                        Loc loc = Loc::current())
    {
        Var<W> number(*this, take(Pool::scratch, name, loc));
        from.load_into(number.reg());
        emit(to_be(number.reg(), i64{sizeof(T) * 8}), loc);
        return number;
    }
    /// The low 16 bits of a host-order number to network order, as a field takes them. Emits `r = be16 r`.
    template <std::unsigned_integral T> Var<be16> to_network16(Var<T>&& number, Loc loc = Loc::current())
    {
        Hold hold = std::move(number).take();
        emit(to_be(hold.reg(), 16), loc);
        return Var<be16>(*this, std::move(hold));
    }
    /// The same bits as an unsigned number, as a checksum or a hash takes them. Emits nothing.
    template <std::unsigned_integral T> Var<T> bits(Var<BigEndian<T>>&& value)
    {
        return Var<T>(*this, std::move(value).take());
    }
    /// A wire field's bits, unconverted, widened to T. Emits a load.
    template <std::unsigned_integral T, std::unsigned_integral U>
    requires(sizeof(U) <= sizeof(T)) Var<T> let_bits(std::string_view name, const Field<BigEndian<U>>& from,
                                                     Loc loc = Loc::current())
    {
        Var<T> number(*this, take(Pool::scratch, name, loc));
        from.load_into(number.reg());
        return number;
    }

    /// An argument of this function (1: the one in r1), owned from here on. Emits nothing.
    template <Scalar T> Var<T> argument(u32 number, std::string_view name, Loc loc = Loc::current())
    {
        return Var<T>(*this, take_argument(number, name, loc));
    }

    /// A struct in the frame; its bytes are undefined until they are written.
    template <class S> StackView<S> stack(std::string_view name, Loc loc = Loc::current())
    {
        return {*this, reserve_stack(sizeof(S), name, loc)};
    }
    /// A number in the frame.
    template <Scalar T> StackVar<T> local(std::string_view name, Loc loc = Loc::current())
    {
        return {*this, reserve_stack(sizeof(T), name, loc)};
    }

    /// A member of a struct in the frame, as memory of its own: a key within a larger one. Emits nothing.
    template <class S, class M> auto part(const StackView<S>& whole, M S::*member)
    {
        const StackRange range{whole.range().off + static_cast<i32>(offset_of(member)), sizeof(M)};
        if constexpr (Scalar<M>)
            return StackVar<M>(*this, range);
        else
            return StackView<M>(*this, range);
    }

    /// Emits moves into r1.., `call helper`; the result is lent in r0.
    template <Scalar R>
    Var<R> call(Helper helper, std::initializer_list<Argument> arguments, std::string_view name,
                Loc loc = Loc::current())
    {
        call_with(helper, arguments, loc);
        return Var<R>(*this, take(r0, name, loc));
    }
    /// The same where nobody wants the result.
    void call(Helper helper, std::initializer_list<Argument> arguments, Loc loc = Loc::current())
    {
        call_with(helper, arguments, loc);
    }

    /// The value of `key`, in a saved register; never null. Emits `r0 = lookup(map, key); if r0 == 0 goto
    /// if_null`.
    template <class K, class V, class Key>
    View<V> lookup(const Map<K, V>& map, const Key& key, Label if_null, Loc loc = Loc::current())
    {
        static_assert(is_key<K, Key>, "the key is not of this map's key type");
        find(map, key, if_null, loc);
        Hold hold = take(Pool::saved, map.name, loc);
        emit(mov64(hold.reg(), r0), loc);
        return in(std::move(hold), V{});
    }
    /// The same, left in r0 until the next call.
    template <class K, class V, class Key>
    View<V> lookup_brief(const Map<K, V>& map, const Key& key, Label if_null, Loc loc = Loc::current())
    {
        static_assert(is_key<K, Key>, "the key is not of this map's key type");
        find(map, key, if_null, loc);
        return in(take(r0, map.name, loc), V{});
    }
    /// The same moved out of r0, which the next statements need. Emits `r = r0`.
    template <class S> View<S> beside(View<S>&& brief, Loc loc = Loc::current())
    {
        Hold hold = take(Pool::scratch, "moved out of r0", loc);
        emit(mov64(hold.reg(), brief.base()), loc);
        brief.release();
        return in(std::move(hold), S{});
    }
    /// The same, put where `found` points, in whose register later code expects it from several paths.
    template <class K, class V, class Key>
    void lookup_to(const View<V>& found, const Map<K, V>& map, const Key& key, Label if_null,
                   Loc loc = Loc::current())
    {
        static_assert(is_key<K, Key>, "the key is not of this map's key type");
        find(map, key, if_null, loc);
        emit(mov64(found.base(), r0), loc);
    }
    /// Makes `view` show this struct of the frame from here on.
    template <class S> void point(const View<S>& view, const StackView<S>& at, Loc loc = Loc::current())
    {
        emit(mov64(view.base(), fp), loc);
        emit(alu64(Alu::add, view.base(), i64{at.offset()}), loc);
    }
    /// A view in a saved register that points nowhere yet: lookup_to() and point() set it.
    template <class S> View<S> pointer(std::string_view name, Loc loc = Loc::current())
    {
        return in(take(Pool::saved, name, loc), S{});
    }
    /// Emits `r0 = update(map, key, value, flags)`; 0 or a negative errno, of 32 bits: before Linux 6.4 the
    /// functions that the kernel calls here in the helper's place return int, and leave the upper half as it
    /// comes.
    template <class K, class V, class Key, class Value>
    Var<i32> update(const Map<K, V>& map, const Key& key, const Value& value, UpdateFlag flag,
                    Loc loc = Loc::current())
    {
        static_assert(is_key<K, Key> && is_key<V, Value>, "key or value are not of this map's types");
        return call<i32>(Helper::map_update_elem, {map, key, value, static_cast<u32>(flag)}, "update result",
                         loc);
    }
    /// Emits `delete(map, key)`.
    template <class K, class V, class Key>
    void remove(const Map<K, V>& map, const Key& key, Loc loc = Loc::current())
    {
        static_assert(is_key<K, Key>, "the key is not of this map's key type");
        call_with(Helper::map_delete_elem, {map, key}, loc);
    }

    /// A view of what a register points at; the register goes with it. For pointers that a helper or ctx
    /// gave.
    template <class S> View<S> in(Hold&& hold, const S&)
    {
        const Reg base = hold.reg();
        return View<S>(*this, base, 0, std::move(hold));
    }

private:
    template <class K, class Key>
    static constexpr bool is_key = [] {
        if constexpr (Scalar<K>)
            return std::is_same_v<Key, StackVar<K>>;
        else
            return std::is_same_v<Key, StackView<K>>;
    }();

    template <Scalar T> Var<T> held(Pool pool, std::string_view name, Operand<T> from, Loc loc)
    {
        Var<T> variable(*this, take(pool, name, loc));
        from.where = loc;
        variable = from;
        return variable;
    }
    template <class Key> void find(const MapSpec& map, const Key& key, Label if_null, Loc loc)
    {
        call_with(Helper::map_lookup_elem, {map, key}, loc);
        jump_if({.op = Jmp::eq, .w32 = false, .left = r0, .right = i64{0}}, if_null, loc);
    }
    void call_with(Helper helper, std::initializer_list<Argument> arguments, Loc loc);
    bool put_argument(const Argument& argument, Reg to, u16 overwritten, Loc loc);
};

/// The ways out of a program: each has a reason and a verdict, and there are no others. Jump to label(reason)
/// from anywhere; emit() writes all that were used: `reason -> r6, verdict -> r7`, then one common end that
/// counts.
class Exits {
public:
    explicit Exits(Dsl& b) : b_(b) {}
    /// The label of this way out; declared by its first use.
    Label to(u32 reason, std::string_view name, i32 verdict, Loc loc = Loc::current());
    /// Emits every way out that was used; `count(Var<u32>& reason)` emits the counting.
    template <std::invocable<Var<u32>&> F> void emit(F&& count, Loc loc = Loc::current())
    {
        const Label end = b_.label("end", loc);
        Var<u32> reason(b_, b_.take(Pool::saved, "reason", loc));
        Var<i32> verdict(b_, b_.take(Pool::saved, "verdict", loc));
        emit_each(reason.reg(), verdict.reg(), end, loc);
        b_.bind(end, loc);
        b_.note("count the reason and leave");
        count(reason);
        b_.emit(mov64(r0, verdict.reg()), loc);
        b_.exit(no_reason, loc);
    }

    /// A way out at this place that is counted by the code before it. Emits `r0 = verdict; exit`.
    void leave(u32 reason, std::string_view name, i32 verdict, Loc loc = Loc::current());

private:
    struct Way {
        ExitInfo info;
        Label label;
        Loc loc;
    };
    void emit_each(Reg reason, Reg verdict, Label end, Loc loc);

    Dsl& b_;
    std::vector<Way> ways_ = {};
};

} // namespace lb::bpf

#include "lb/asm/packet.hpp" // IWYU pragma: export
