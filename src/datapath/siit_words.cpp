#include "datapath/siit_words.hpp"

#include <array>

namespace lb::datapath {

using namespace bpf;
using model::Reason;
using wire::Ipv4;
using wire::Ipv6;

namespace {

/// One error at hand. `said` and `out` outlive it.
class Words {
public:
    Words(const Siit& in, const View<IcmpError>& said, const View<IcmpError>& out)
        : b_(in.b),
          said_(said),
          out_(out),
          done_(in.b.label("said")),
          unknown_(in.ways.to(Reason::siit_icmp_unknown))
    {
        out_(&IcmpError::checksum) = be16{0};
        out_(&IcmpError::pointer4) = u8{0};
        out_(&IcmpError::zero8) = u8{0};
        out_(&IcmpError::low) = be16{0};
    }

    void to_icmpv6(const View<Ipv4>& quoted);
    void to_icmpv4(u32 smaller);

private:
    void say(u8 type, u8 code)
    {
        out_(&IcmpError::type) = type;
        out_(&IcmpError::code) = code;
    }
    void say_and_go(Label here, u8 type, u8 code)
    {
        b_.bind(here);
        say(type, code);
        b_.jump(done_);
    }
    void say_mtu6(const View<Ipv4>& quoted);
    void say_mtu4(u32 smaller);
    void say_pointer6();
    void say_pointer4();

    Dsl& b_;
    const View<IcmpError>& said_;
    const View<IcmpError>& out_;
    Label done_, unknown_;
};

// The path takes as much more as IPv6's header is larger. A router that does not say how much it takes is
// guessed at by RFC 1191's table of usual MTUs. Links of IPv6 have at least 1280.
void Words::say_mtu6(const View<Ipv4>& quoted)
{
    constexpr u64 least = 1280, larger = sizeof(Ipv6) - sizeof(Ipv4);
    constexpr std::array<u64, 7> plateaus = {32000, 17914, 8166, 4352, 2002, 1492, 0};
    const Label known = b_.label("it says what fits");
    say(2, 0);
    auto mtu = b_.let_host_as<u64>("mtu", said_(&IcmpError::low));
    b_.jump_if(mtu != 0, known);
    const auto total = b_.let_host_as<u64>("total length", quoted(&Ipv4::total_length));
    for (const u64 plateau : plateaus) {
        mtu = plateau;
        b_.jump_if(total > plateau, known);
    }
    b_.bind(known);
    mtu += larger;
    b_.if_(mtu < least, [&] { mtu = least; });
    out_(&IcmpError::low) = b_.to_network16(std::move(mtu));
}

void Words::say_mtu4(u32 smaller)
{
    constexpr u64 most = 65535, least = 68; // RFC 791
    say(3, 4);
    auto mtu = b_.let_host_as<u64>("mtu", said_.as<wire::Icmp>()(&wire::Icmp::rest));
    b_.if_(mtu > most, [&] { mtu = most; });
    b_.if_(mtu < least + smaller, [&] { mtu = least + smaller; });
    mtu -= u64{smaller};
    out_(&IcmpError::low) = b_.to_network16(std::move(mtu));
}

void Words::say_pointer6()
{
    struct Range {
        u8 last, becomes;
    };
    constexpr u8 none = 255;
    // RFC 7915, figure 3.
    constexpr std::array ranges = {Range{0, 0}, Range{1, 1},     Range{3, 4},  Range{7, none}, Range{8, 7},
                                   Range{9, 6}, Range{11, none}, Range{15, 8}, Range{19, 24}};
    say(4, 0);
    const auto pointer = b_.let<u8>("pointer", said_(&IcmpError::pointer4));
    for (const auto& [last, becomes] : ranges) {
        const Label next = b_.label("next pointer");
        b_.jump_if(pointer > last, next);
        if (becomes == none) {
            b_.jump(unknown_);
        } else {
            out_(&IcmpError::low) = be16{becomes};
            b_.jump(done_);
        }
        b_.bind(next);
    }
    b_.jump(unknown_);
}

void Words::say_pointer4()
{
    struct Range {
        u32 last;
        u8 becomes;
    };
    constexpr u8 none = 255;
    // RFC 7915, figure 6.
    constexpr std::array ranges = {Range{0, 0}, Range{1, 1}, Range{3, none}, Range{5, 2},
                                   Range{6, 9}, Range{7, 8}, Range{23, 12},  Range{39, 16}};
    say(12, 0);
    const auto pointer = b_.let_host<u32>("pointer", said_.as<wire::Icmp>()(&wire::Icmp::rest));
    for (const auto& [last, becomes] : ranges) {
        const Label next = b_.label("next pointer");
        b_.jump_if(pointer > last, next);
        if (becomes == none) {
            b_.jump(unknown_);
        } else {
            out_(&IcmpError::pointer4) = becomes;
            b_.jump(done_);
        }
        b_.bind(next);
    }
    b_.jump(unknown_);
}

void Words::to_icmpv6(const View<Ipv4>& quoted)
{
    const Label unreachable = b_.label("unreachable"), exceeded = b_.label("time exceeded"),
                problem = b_.label("parameter problem"), pointed = b_.label("a pointer"),
                no_route = b_.label("no route"), prohibited = b_.label("prohibited"),
                no_port = b_.label("no port"), no_protocol = b_.label("no protocol"),
                too_big = b_.label("too big");
    {
        const auto type = b_.let<u8>("type", said_(&IcmpError::type));
        b_.jump_if(type == u8{3}, unreachable);
        b_.jump_if(type == u8{11}, exceeded);
        b_.jump_if(type == u8{12}, problem);
        b_.jump(unknown_);
    }
    b_.bind(unreachable);
    {
        const auto code = b_.let<u8>("code", said_(&IcmpError::code));
        b_.jump_if(code == u8{2}, no_protocol);
        b_.jump_if(code == u8{3}, no_port);
        b_.jump_if(code == u8{4}, too_big);
        for (const u8 each : {u8{0}, u8{1}, u8{5}, u8{6}, u8{7}, u8{8}, u8{11}, u8{12}})
            b_.jump_if(code == each, no_route);
        for (const u8 each : {u8{9}, u8{10}, u8{13}, u8{15}}) b_.jump_if(code == each, prohibited);
        b_.jump(unknown_);
    }
    say_and_go(no_route, 1, 0);
    say_and_go(prohibited, 1, 1);
    say_and_go(no_port, 1, 4);
    b_.bind(no_protocol);
    out_(&IcmpError::low) = be16{6}; // where IPv6 has its next header
    say(4, 1);
    b_.jump(done_);
    b_.bind(too_big);
    say_mtu6(quoted);
    b_.jump(done_);
    b_.bind(exceeded);
    out_(&IcmpError::type) = u8{3};
    out_(&IcmpError::code) = said_(&IcmpError::code);
    b_.jump(done_);
    b_.bind(problem);
    {
        const auto code = b_.let<u8>("code", said_(&IcmpError::code));
        b_.jump_if(code == u8{0}, pointed);
        b_.jump_if(code != u8{2}, unknown_);
    }
    b_.bind(pointed);
    say_pointer6();
    b_.bind(done_);
}

void Words::to_icmpv4(u32 smaller)
{
    const Label unreachable = b_.label("unreachable"), exceeded = b_.label("time exceeded"),
                problem = b_.label("parameter problem"), pointed = b_.label("a pointer"),
                no_host = b_.label("no host"), prohibited = b_.label("prohibited"),
                no_port = b_.label("no port"), no_protocol = b_.label("no protocol"),
                too_big = b_.label("too big");
    {
        const auto type = b_.let<u8>("type", said_(&IcmpError::type));
        b_.jump_if(type == u8{1}, unreachable);
        b_.jump_if(type == u8{2}, too_big);
        b_.jump_if(type == u8{3}, exceeded);
        b_.jump_if(type == u8{4}, problem);
        b_.jump(unknown_);
    }
    b_.bind(unreachable);
    {
        const auto code = b_.let<u8>("code", said_(&IcmpError::code));
        for (const u8 each : {u8{0}, u8{2}, u8{3}}) b_.jump_if(code == each, no_host);
        b_.jump_if(code == u8{1}, prohibited);
        b_.jump_if(code == u8{4}, no_port);
        b_.jump(unknown_);
    }
    say_and_go(no_host, 3, 1);
    say_and_go(prohibited, 3, 10);
    say_and_go(no_port, 3, 3);
    say_and_go(no_protocol, 3, 2);
    b_.bind(too_big);
    say_mtu4(smaller);
    b_.jump(done_);
    b_.bind(exceeded);
    out_(&IcmpError::type) = u8{11};
    out_(&IcmpError::code) = said_(&IcmpError::code);
    b_.jump(done_);
    b_.bind(problem);
    {
        const auto code = b_.let<u8>("code", said_(&IcmpError::code));
        b_.jump_if(code == u8{0}, pointed);
        b_.jump_if(code == u8{1}, no_protocol);
        b_.jump(unknown_);
    }
    b_.bind(pointed);
    say_pointer4();
    b_.bind(done_);
}

} // namespace

void say_in_icmpv6(const Siit& in, const View<IcmpError>& said, const View<Ipv4>& quoted,
                   const View<IcmpError>& out)
{
    Words(in, said, out).to_icmpv6(quoted);
}

void say_in_icmpv4(const Siit& in, const View<IcmpError>& said, u32 smaller, const View<IcmpError>& out)
{
    Words(in, said, out).to_icmpv4(smaller);
}

} // namespace lb::datapath
