// Structs described by their members, so that BTF can name them and offsets are never written by hand. A
// struct opts in by specialising `fields<S>`; a static_assert refuses a description that leaves bytes out.
//
//     template <> inline constexpr auto lb::bpf::fields<FlowKey> =
//         lb::bpf::describe<FlowKey>("flow_key", member("saddr", &FlowKey::saddr), member("dport",
//         &FlowKey::dport));
//
// Pure values; safe from any thread.
#pragma once

#include <array>
#include <cstddef>
#include <string>
#include <tuple>
#include <type_traits>
#include <vector>

#include "lb/base/bytes.hpp"

namespace lb::bpf {

/// How a member is shown: an integer in host or network order, or an array of bytes.
enum class MemberKind { unsigned_integer, signed_integer, big_endian, bytes };

struct MemberInfo {
    std::string name = {};
    MemberKind kind = MemberKind::unsigned_integer;
    u32 offset = 0; ///< bytes
    u32 size = 0;   ///< bytes, of the whole member
};

/// A struct (or a single integer: one member at offset 0 and `is_integer`).
struct StructInfo {
    std::string name = {};
    u32 size = 0;
    bool is_integer = false;
    std::vector<MemberInfo> members = {};
};

template <class S, class M> struct Member {
    const char* name;
    M S::*pointer;
};
template <class S, class M> constexpr Member<S, M> member(const char* name, M S::*pointer)
{
    return {name, pointer};
}

template <class S, class... M> struct Description {
    const char* name;
    std::tuple<Member<S, M>...> members;
    static constexpr std::size_t bytes = (std::size_t{0} + ... + sizeof(M));
};
template <class S, class... M>
constexpr Description<S, M...> describe(const char* name, Member<S, M>... members)
{
    static_assert((std::size_t{0} + ... + sizeof(M)) == sizeof(S),
                  "the description leaves bytes of the struct out");
    return {name, {members...}};
}

/// Specialise this for a struct; see above. Structs without a description have no BTF.
template <class S> inline constexpr auto fields = nullptr;

/// Where a member lies in its struct, in bytes.
template <class S, class M> u32 offset_of(M S::*pointer)
{
    // A static object, so that the address of a member can be taken without running a constructor each time.
    static const S object{};
    return static_cast<u32>(reinterpret_cast<const char*>(&(object.*pointer)) -
                            reinterpret_cast<const char*>(&object));
}

namespace detail {
template <class T> struct is_big_endian : std::false_type {};
template <class T> struct is_big_endian<BigEndian<T>> : std::true_type {};

template <class M> constexpr MemberKind kind_of()
{
    if constexpr (is_big_endian<M>::value)
        return MemberKind::big_endian;
    else if constexpr (std::is_enum_v<M>)
        return MemberKind::unsigned_integer;
    else if constexpr (std::is_integral_v<M>)
        return std::is_signed_v<M> ? MemberKind::signed_integer : MemberKind::unsigned_integer;
    else
        return MemberKind::bytes;
}
} // namespace detail

/// The description of S as data; empty where S is not described.
template <class S> StructInfo struct_info()
{
    if constexpr (std::is_integral_v<S> || detail::is_big_endian<S>::value) {
        return {.name = detail::is_big_endian<S>::value ? "be" + std::to_string(sizeof(S) * 8)
                                                        : "u" + std::to_string(sizeof(S) * 8),
                .size = sizeof(S),
                .is_integer = true,
                .members = {{.name = "value", .kind = detail::kind_of<S>(), .offset = 0, .size = sizeof(S)}}};
    } else if constexpr (std::is_same_v<decltype(fields<S>), const std::nullptr_t>) {
        return {};
    } else {
        StructInfo info{.name = fields<S>.name, .size = sizeof(S)};
        std::apply(
            [&]<class... M>(const Member<S, M>&... each) {
                (info.members.push_back({.name = each.name,
                                         .kind = detail::kind_of<M>(),
                                         .offset = offset_of(each.pointer),
                                         .size = sizeof(M)}),
                 ...);
            },
            fields<S>.members);
        return info;
    }
}

} // namespace lb::bpf
