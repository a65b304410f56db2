#include "bench.hpp"

#include "kernel/verifier_log.hpp"
#include "need.hpp"

namespace lb::test {
namespace {

const bool ready = [] {
    need_bpf();
    return true;
}();

template <class T> T must(Result<T> result)
{
    if (!result) FAIL(result.error().message);
    return std::move(*result);
}

kernel::Program load(const std::expected<bpf::Program, bpf::Error>& made, const kernel::Resolver& resolver)
{
    if (!made) FAIL(bpf::to_string(made.error()));
    auto loaded = kernel::Program::load(*made, resolver);
    if (!loaded)
        FAIL(loaded.error().error.message
             << '\n'
             << kernel::to_text(kernel::explain_rejection(loaded.error().log, *made)));
    return std::move(*loaded);
}

} // namespace

model::Backend backend_of(model::Tunnel tunnel)
{
    return {.interfaces = {"eth0"},
            .vips = {*IpAddress::parse("192.0.2.99"), *IpAddress::parse("192.0.2.1"),
                     *IpAddress::parse("2001:db8::99"), *IpAddress::parse("2001:db8::1")},
            .tunnel = tunnel};
}

BackendBench::BackendBench(const model::Backend& backend, bool frags, model::MssLimits limits)
{
    REQUIRE(ready);
    const datapath::BackendMaps maps;
    own4_ = must(kernel::Map::create(maps.own4));
    own6_ = must(kernel::Map::create(maps.own6));
    exits_ = must(kernel::Map::create(maps.exits));
    REQUIRE(own4_.update(IpAddress::parse("10.0.0.2")->v4(), u32{1}));
    REQUIRE(own6_.update(IpAddress::parse("2001:db8:1::2")->address6(), u32{1}));
    const kernel::Resolver resolver{
        .maps = {{"own4", own4_.fd()}, {"own6", own6_.fd()}, {"exits", exits_.fd()}}, .values = {}};
    const KernelFeatures features{.xdp_frags = frags};
    decap_ = load(datapath::make_decap(backend, maps, features), resolver);
    clamp_ = load(datapath::make_mss_clamp(backend, limits, maps, features), resolver);
}

std::map<model::Reason, u64> BackendBench::exits() const
{
    std::map<model::Reason, u64> counted;
    for (const auto& reason : model::reasons)
        for (const u64 each : must(exits_.lookup_percpu<u32, u64>(static_cast<u32>(reason.reason))))
            counted[reason.reason] += each;
    return counted;
}

Passage BackendBench::run(const kernel::Program& program, const Bytes& frame)
{
    const auto before = exits();
    const auto run = must(program.run(frame));
    const auto after = exits();
    Passage passage{.verdict = run.retval, .frame = run.out};
    u64 total = 0;
    for (const auto& [reason, count] : after) {
        const u64 more = count - before.at(reason);
        total += more;
        if (more > 0) passage.reason = reason;
    }
    REQUIRE(total == 1);
    return passage;
}

} // namespace lb::test
