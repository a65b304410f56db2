#include "flood.hpp"

#include <net/if.h>

#include <cstring>
#include <stdexcept>

#include "datapath/checksum.hpp"
#include "lb/asm/dsl.hpp"
#include "lb/asm/packet.hpp"

namespace lb::e2e {
namespace {

using namespace bpf;

template <class T> T must(Result<T> result)
{
    if (!result) throw std::runtime_error(result.error().message);
    return std::move(*result);
}

struct Source {
    be32 address{};
};

} // namespace
} // namespace lb::e2e

template <>
inline constexpr auto lb::bpf::fields<lb::e2e::Source> =
    lb::bpf::describe<lb::e2e::Source>("source", member("address", &lb::e2e::Source::address));

namespace lb::e2e {
namespace {

const bpf::Map<u32, u64> sent("sent", MapType::array, 1u);

void leave(Dsl& b, XdpAction verdict)
{
    b.emit(mov64(r0, i64{static_cast<i32>(verdict)}), Loc::current());
    b.exit(no_reason);
}

// The kernel gives a frame back as whoever had it last has left it.
void write_frame(Dsl& b, const View<wire::Ethernet>& at, const lab::Bytes& frame)
{
    for (std::size_t i = 0; i + 1 < frame.size(); i += 2) {
        u16 bits = 0;
        std::memcpy(&bits, &frame[i], sizeof bits);
        b.emit(store(Width::w16, at.base(), static_cast<i16>(at.offset() + static_cast<i32>(i)), i64{bits}),
               Loc::current());
    }
}

bpf::Program make_program(const lab::Bytes& frame, u32 first_source)
{
    Dsl b("flood", ProgramType::xdp, AttachType::xdp);
    const Label out = b.label("out");
    {
        XdpPacket packet(b);
        const auto [ethernet, ip, tcp] = packet.claim<wire::Ethernet, wire::Ipv4, wire::Tcp>(out);
        packet.release_end();
        write_frame(b, ethernet, frame);
        const auto index = b.local<u32>("index");
        index() = 0;
        const auto source = b.stack<Source>("source");
        {
            auto row = b.lookup_brief(sent, index, out);
            auto number = row.value().fetch_add(1);
            row.release();
            number += u64{first_source};
            b.emit(to_be(number.reg(), 32), Loc::current());
            source(&Source::address).store(number.reg());
        }
        auto sum = b.let<u64>("sum", 0);
        datapath::add_change(b, sum, ip(&wire::Ipv4::saddr), source(&Source::address));
        datapath::fold_sum(b, sum);
        datapath::apply_sum(b, ip(&wire::Ipv4::checksum), sum);
        datapath::apply_sum(b, tcp(&wire::Tcp::checksum), sum);
        ip(&wire::Ipv4::saddr) = source(&Source::address);
    }
    leave(b, XdpAction::tx);
    b.bind(out);
    leave(b, XdpAction::aborted);
    auto program = b.finish();
    if (!program) throw std::runtime_error(to_string(program.error()));
    return std::move(*program);
}

} // namespace

Flood::Flood(const lab::Namespace& from, const std::string& interface, const lab::Packet& syn)
    : from_(from),
      ifindex_(from.run([&] { return ::if_nametoindex(interface.c_str()); })),
      frame_(lab::build(syn)),
      sent_(must(kernel::Map::create(sent)))
{
    kernel::Resolver resolver;
    resolver.maps["sent"] = sent_.fd();
    auto loaded = kernel::Program::load(make_program(frame_, syn.saddr.v4()), resolver);
    if (!loaded) throw std::runtime_error(loaded.error().error.message + loaded.error().log);
    program_ = std::move(*loaded);
}

void Flood::send(u32 count) const
{
    const std::string error = from_.run([&] {
        const auto run =
            program_.run(frame_, {.repeat = count, .xdp = {.ingress_ifindex = ifindex_}, .live = true});
        return run ? std::string() : run.error().message;
    });
    if (!error.empty()) throw std::runtime_error(error);
}

} // namespace lb::e2e
