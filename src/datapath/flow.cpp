#include "datapath/flow.hpp"

namespace lb::datapath {

using namespace bpf;
using model::Flow4;
using model::FlowKey4;

void find_flow(Dsl& b, const Maps& maps, const Frame& frame, const View<Flow4>& flow, Label missing)
{
    b.note("find the flow");
    b.lookup_to(flow, maps.flows, frame.key, missing);
}

void reopen_closed(Dsl& b, const Maps& maps, const Frame& frame, const NewFlowFrame& fresh,
                   const View<Flow4>& flow, Label missing)
{
    b.note("a SYN on a known tuple: has that connection ended?");
    const Label ended = b.label("ended"), lives = b.label("lives");
    fresh.reply_key(&FlowKey4::saddr) = flow(&Flow4::daddr);
    fresh.reply_key(&FlowKey4::daddr) = flow(&Flow4::saddr);
    fresh.reply_key(&FlowKey4::sport) = flow(&Flow4::dport);
    fresh.reply_key(&FlowKey4::dport) = flow(&Flow4::sport);
    fresh.reply_key(&FlowKey4::protocol) = wire::protocol_tcp;
    fresh.reply_key(&FlowKey4::zero8) = u8{0};
    fresh.reply_key(&FlowKey4::zero16) = u16{0};
    {
        auto reply = b.lookup_brief(maps.flows, fresh.reply_key, ended);
        auto flags = b.let<u8>("reply flags", reply(&Flow4::tcp_flags));
        reply.release();
        b.jump_if(flags.has(wire::tcp_rst), ended);
        b.jump_if(flow(&Flow4::tcp_flags).has(wire::tcp_rst), ended);
        flags &= flow(&Flow4::tcp_flags);
        b.jump_unless(flags.has(wire::tcp_fin), lives);
    }
    b.bind(ended);
    b.remove(maps.flows, fresh.reply_key);
    b.remove(maps.flows, frame.key);
    b.jump(missing);
    b.bind(lives);
}

} // namespace lb::datapath
