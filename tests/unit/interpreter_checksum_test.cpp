// bpf_l4_csum_replace: expected values are the checksums of whole packets, computed from scratch.
#include "interpreter_fixture.hpp"

#include <cerrno>

#include "lab/packet.hpp"

using namespace lb;
using namespace lb::bpf;
using namespace lb::bpf::test;
using lab::Bytes;

namespace {

constexpr u64 pseudo_header = 1u << 4, mark_mangled_0 = 1u << 5, mark_enforce = 1u << 6;
constexpr std::size_t tcp_check = 14 + 20 + 16, udp_check = 14 + 20 + 6;

struct Ran {
    i64 result = 0;
    Bytes frame = {};
};

Ran replace(const Bytes& frame, std::size_t offset, u64 from, u64 to, u64 flags,
            ChecksumState state = ChecksumState::complete, std::optional<u32> linear = {})
{
    const Insns body =
        join({{ld_imm64(r2, offset), ld_imm64(r3, from), ld_imm64(r4, to), ld_imm64(r5, flags)},
              call(Helper::l4_csum_replace),
              {exit()}});
    const Outcome outcome = must(interpret(program_of(ProgramType::sched_cls, body),
                                           SkbInput{.frame = frame, .linear = linear, .checksum = state}));
    return {static_cast<i64>(outcome.result), outcome.frame};
}

u64 as_loaded(const Bytes& frame, std::size_t at, std::size_t bytes)
{
    u64 number = 0;
    std::memcpy(&number, &frame[at], bytes);
    return number;
}

lab::Packet packet(bool tcp)
{
    lab::Packet packet{.saddr = lab::ip("10.0.1.11"), .daddr = lab::ip("198.51.100.7")};
    if (tcp)
        packet.l4 = lab::Tcp{.sport = 8080, .dport = 40000};
    else
        packet.l4 = lab::Udp{.sport = 8080, .dport = 40000};
    packet.payload = lab::pattern(33);
    return packet;
}

/// The same from another address and port.
lab::Packet translated(lab::Packet packet)
{
    packet.saddr = lab::ip("192.0.2.1");
    std::visit(
        [](auto& l4) {
            if constexpr (requires { l4.sport; }) l4.sport = 80;
        },
        packet.l4);
    return packet;
}

// ~from + to, over 32 bits: what bpf_csum_diff gives.
u64 difference(u64 from, u64 to)
{
    const u64 sum = (~from & 0xffffffff) + to;
    return (sum & 0xffffffff) + (sum >> 32);
}

} // namespace

TEST_CASE("a complete checksum follows address and port, given as values or as a difference",
          "[interpreter][checksum]")
{
    for (const bool tcp : {true, false}) {
        const Bytes before = lab::build(packet(tcp)), after = lab::build(translated(packet(tcp)));
        const std::size_t at = tcp ? tcp_check : udp_check;
        const u64 flags = tcp ? 0 : mark_mangled_0;
        const u64 old_address = as_loaded(before, 26, 4), new_address = as_loaded(after, 26, 4);
        const u64 old_port = as_loaded(before, 34, 2), new_port = as_loaded(after, 34, 2);
        const auto expect = [&](const Ran& addresses, const Ran& ports) {
            CHECK(addresses.result == 0);
            CHECK(ports.result == 0);
            CHECK(as_loaded(ports.frame, at, 2) == as_loaded(after, at, 2));
        };
        const Ran addresses = replace(before, at, old_address, new_address, 4 | pseudo_header | flags);
        expect(addresses, replace(addresses.frame, at, old_port, new_port, 2 | flags));
        // Of a field of 16 bits, 16 bits are taken.
        expect(addresses, replace(addresses.frame, at, old_port | 0x50000, new_port | 0x70000, 2 | flags));
        const Ran same = replace(before, at, 0, difference(old_address, new_address), pseudo_header | flags);
        expect(same, replace(same.frame, at, 0, difference(old_port, new_port), flags));
        CHECK(same.frame == addresses.frame);
    }
}

TEST_CASE("where only the pseudo-header has been summed, addresses count and ports do not",
          "[interpreter][checksum]")
{
    Bytes before = lab::build(packet(true)), after = lab::build(translated(packet(true)));
    lab::make_partial(before);
    const auto where = lab::make_partial(after);
    const auto partial = ChecksumState::partial;
    const u64 old_address = as_loaded(before, 26, 4), new_address = as_loaded(after, 26, 4);
    const Ran addresses = replace(before, tcp_check, old_address, new_address, 4 | pseudo_header, partial);
    CHECK(as_loaded(addresses.frame, tcp_check, 2) == as_loaded(after, tcp_check, 2));
    const Ran same =
        replace(before, tcp_check, 0, difference(old_address, new_address), pseudo_header, partial);
    CHECK(same.frame == addresses.frame);
    const Ran ports = replace(addresses.frame, tcp_check, 0x901f, 0x5000, 2, partial);
    CHECK(ports.result == 0);
    CHECK(ports.frame == addresses.frame);
    // The device sums the rest: then the whole packet is right.
    Bytes sent = ports.frame;
    std::copy_n(after.begin() + 14, 20, sent.begin() + 14); // the IPv4 header and the port were rewritten too
    std::copy_n(after.begin() + 34, 2, sent.begin() + 34);
    REQUIRE(lab::complete_partial(sent, where));
    CHECK(lab::checksum_fault(sent) == "");
}

TEST_CASE("no checksum stays none, and a computed 0 is written as 0xffff where that is asked for",
          "[interpreter][checksum]")
{
    const auto with_check = [](u16 check) {
        Bytes frame = lab::build(packet(false));
        std::memcpy(&frame[udp_check], &check, 2);
        return frame;
    };
    const auto check_after = [&](u16 check, u64 difference, u64 flags) {
        const Ran ran = replace(with_check(check), udp_check, 0, difference, flags);
        CHECK(ran.result == 0);
        return as_loaded(ran.frame, udp_check, 2);
    };
    CHECK(check_after(0, 5, mark_mangled_0) == 0);
    CHECK(check_after(0, 5, mark_mangled_0 | mark_enforce) == 0xfffa);
    CHECK(check_after(0, 5, 0) == 0xfffa);
    CHECK(check_after(5, 5, 0) == 0); // ~(~5 + 5)
    CHECK(check_after(5, 5, mark_mangled_0) == 0xffff);
    CHECK(check_after(5, 0x10005, 0) == 0xffff - 1 + 0); // the upper half counts too: ~(~5 + 5 + 1)
}

TEST_CASE("bpf_l4_csum_replace refuses what the kernel's does, and pulls what it needs",
          "[interpreter][checksum]")
{
    const Bytes frame = lab::build(packet(true));
    struct Row {
        const char* name = "";
        u64 offset = 0, from = 0, to = 0, flags = 0;
        i64 result = 0;
    };
    for (const auto& [name, offset, from, to, flags, result] :
         {Row{"a flag that does not exist", tcp_check, 0, 0, 1u << 8, -EINVAL},
          Row{"an odd offset", tcp_check + 1, 0, 0, 0, -EFAULT},
          Row{"an offset beyond 16 bits", 0x10000, 0, 0, 0, -EFAULT},
          Row{"behind the packet", frame.size() + frame.size() % 2, 0, 0, 0, -EFAULT},
          Row{"a difference with a `from`", tcp_check, 1, 0, 0, -EINVAL},
          Row{"a field of 3 bytes", tcp_check, 1, 0, 3, -EINVAL},
          Row{"a field of 8 bytes", tcp_check, 1, 0, 8, -EINVAL}}) {
        INFO(name);
        const Ran ran = replace(frame, offset, from, to, flags);
        CHECK(ran.result == result);
        CHECK(ran.frame == frame);
    }
    CHECK(replace(frame, tcp_check, 0, 5, 0, ChecksumState::complete, 14).result == 0);
}
