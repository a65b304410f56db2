#include "kernel/errors.hpp"
#include "kernel/program.hpp"

#include <bpf/bpf.h>
#include <linux/bpf.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace lb::kernel {

namespace {

/// The context that the kernel takes for a test run of an XDP program: data begins after the metadata.
xdp_md xdp_input(const XdpContext& context, std::size_t frame_bytes)
{
    xdp_md md{};
    md.data = context.meta_bytes;
    md.data_end = static_cast<u32>(frame_bytes);
    md.ingress_ifindex = context.ingress_ifindex;
    md.rx_queue_index = context.rx_queue;
    return md;
}

__sk_buff skb_input(const SkbContext& context)
{
    __sk_buff skb{};
    skb.mark = context.mark;
    skb.priority = context.priority;
    skb.ingress_ifindex = context.ingress_ifindex;
    skb.ifindex = context.ifindex;
    std::copy(context.cb.begin(), context.cb.end(), skb.cb);
    skb.wire_len = context.wire_len;
    skb.gso_segs = context.gso_segs;
    skb.gso_size = context.gso_size;
    return skb;
}

SkbContext skb_output(const __sk_buff& skb)
{
    SkbContext context{.ifindex = skb.ifindex,
                       .ingress_ifindex = skb.ingress_ifindex,
                       .mark = skb.mark,
                       .priority = skb.priority,
                       .wire_len = skb.wire_len,
                       .gso_segs = skb.gso_segs,
                       .gso_size = skb.gso_size};
    std::copy(std::begin(skb.cb), std::end(skb.cb), context.cb.begin());
    return context;
}

bool is_default(const XdpContext& c)
{
    return c.ingress_ifindex == 0 && c.rx_queue == 0 && c.meta_bytes == 0;
}

} // namespace

Result<TestRun> Program::run(std::span<const u8> frame, const RunOptions& options) const
{
    TestRun run;
    run.out.resize(frame.size() + options.growth_max);
    bpf_test_run_opts test{};
    test.sz = sizeof(test);
    test.data_in = frame.data();
    test.data_size_in = static_cast<u32>(frame.size());
    test.data_out = run.out.data();
    test.data_size_out = static_cast<u32>(run.out.size());
    test.repeat = static_cast<int>(options.repeat);

    xdp_md xdp = xdp_input(options.xdp, frame.size());
    __sk_buff skb = skb_input(options.skb);
    __sk_buff skb_after{};
    if (type_ == bpf::ProgramType::xdp && !is_default(options.xdp)) {
        test.ctx_in = &xdp;
        test.ctx_size_in = sizeof(xdp);
    } else if (type_ == bpf::ProgramType::sched_cls) {
        test.ctx_in = &skb;
        test.ctx_size_in = sizeof(skb);
        test.ctx_out = &skb_after;
        test.ctx_size_out = sizeof(skb_after);
    }
    if (options.live) {
        test.flags = BPF_F_TEST_XDP_LIVE_FRAMES;
        test.data_out = nullptr;
        test.data_size_out = 0;
    }
    if (bpf_prog_test_run_opts(fd(), &test) != 0)
        return sys_fail(
            "test run of program '" + name_ + "' on " + std::to_string(frame.size()) + " bytes", errno,
            errno == EINVAL ? "the frame is shorter than an Ethernet header, or the context does not fit it"
                            : "");
    run.out.resize(test.data_size_out);
    run.retval = test.retval;
    run.duration_ns = test.duration;
    run.skb = skb_output(skb_after);
    return run;
}

} // namespace lb::kernel
