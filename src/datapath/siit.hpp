// Full NAT between IPv4 and IPv6: the packet gets a header of the other version (RFC 7915, stateless IP/ICMP
// translation) with the addresses that its connection's entry says. What the stages find out is put into the
// stack frame, new headers and all; then the packet's start is moved to where these end at what stays of it.
#pragma once

#include "datapath/ingress.hpp"
#include "datapath/siit_header.hpp"
#include "datapath/too_big.hpp"

namespace lb::datapath {

/// The headers that a packet gets: all of them in an ICMP error, which quotes another one.
template <class F> struct NewHeaders;
template <> struct NewHeaders<V4To6> {
    tunnel::Ipv6 ip{};
    wire::Icmp icmp{};
    tunnel::Ipv6 quoted{};
    wire::Ipv6Fragment fragment{};
};
template <> struct NewHeaders<V6To4> {
    wire::Ipv4 ip{};
    wire::Icmp icmp{};
    wire::Ipv4 quoted{};
};
/// Of a fragment.
struct NewFragment {
    tunnel::Ipv6 ip{};
    wire::Ipv6Fragment fragment{};
};

/// How a packet leaves that has become one of the other version.
enum class Crossed : u32 { forward = 0, reply = 1, error = 2, fragment = 3 };

/// What the stages leave for the one that writes into the packet.
template <class F> struct Rewriting {
    using New = NewHeaders<F>;
    bpf::StackView<New> headers;
    bpf::StackVar<u64> cut;    ///< where what stays of the packet begins, in bytes from its IP header on
    bpf::StackVar<u32> how;    ///< Crossed
    bpf::Label plain;          ///< go there with `headers.ip`
    bpf::Label fragment;       ///< or with a NewFragment there (V4To6)
    bpf::Label error;          ///< or with an ICMP error's, but for the last fragment header
    bpf::Label error_fragment; ///< or with that, too (V4To6)
};

/// What the stages of the program share.
struct Siit {
    bpf::Dsl& b;
    const model::Plan& plan;
    const Maps& maps;
    Ways& ways;
    const Parser& parser;
    bpf::PacketBounds& packet;
    const bpf::StackVar<u64>& context;
    const bpf::StackVar<u64>& l3_offset;
    const bpf::StackVar<u32>& given; ///< as in Crossing
    const bpf::StackRange& way; ///< memory to ask for it; the first entry of a new connection is in there
    const TooLarge& too_large;
};

/// Emits the checks of what only an IPv4 header says: its checksum, and no source route.
void check_ipv4_header(const Siit& in, const bpf::View<wire::Ipv4>& ip);

/// Emits the check that the packet fits on its way with the headers in `to`, the last of which ends `header`
/// bytes behind their beginning; goes to `in.too_large` else. The kernel would tell the packet's source,
/// which is lb itself by then. So whoever has sent it is told before, and before a byte of it is changed.
template <class F> void check_fit(const Siit& in, const Rewriting<F>& to, u8 protocol, u32 header);

/// Emits the translation of an ICMP error about a packet of a connection between families.
template <class F>
void cross_icmp_error(const Siit& in, const Frame<F>& frame, const bpf::View<typename F::Header>& ip,
                      bpf::PacketPointer& l4, const Rewriting<F>& to);

/// Emits the writing of the new headers, for every label of `to`, and the ways out.
template <class F>
void write_crossed(bpf::Dsl& b, const model::Plan& plan, Ways& ways, const Rewriting<F>& to,
                   const bpf::StackVar<u64>& context, const bpf::StackVar<u64>& l3_offset);

} // namespace lb::datapath
