#include <spdlog/fmt/fmt.h>

#include "cli/commands.hpp"
#include "cli/programs.hpp"
#include "datapath/generate.hpp"
#include "kernel/features.hpp"
#include "kernel/map.hpp"
#include "kernel/program.hpp"
#include "kernel/verifier_log.hpp"
#include "lb/asm/dsl.hpp"
#include "lb/base/wire.hpp"
#include "model/plan.hpp"

namespace lb::cli {
namespace {

// Programs that the verifier must reject, each for one common reason. What the typed layer would refuse is
// emitted.
Result<bpf::Program> broken_program(const std::string& kind, const datapath::Maps& maps)
{
    using namespace bpf;
    Dsl b("lb_broken", ProgramType::xdp, AttachType::xdp);
    if (kind == "packet") {
        b.note("read the packet without a claim");
        b.emit(load(Width::w32, r2, r1, 0));
        b.emit(load(Width::w8, r0, r2, 0));
    } else if (kind == "null") {
        b.note("use a map's value without asking whether it is there");
        b.release_context();
        const auto look_up = [&]<class A>(const datapath::FamilyMaps<A>& family) {
            auto key = b.stack<model::FlowKey<A>>("key");
            key.fill(0);
            b.call(Helper::map_lookup_elem, {family.flows, key});
        };
        if (maps.v4)
            look_up(*maps.v4);
        else
            look_up(*maps.v6);
        b.emit(load(Width::w32, r0, r0, 0));
    } else if (kind == "value") {
        b.note("read behind the end of a map's value");
        b.release_context();
        auto key = b.local<u32>("key");
        key() = 0;
        const Label none = b.label("none");
        auto target = b.lookup_brief(maps.targets, key, none);
        b.emit(load(Width::w32, r0, target.base(), sizeof(model::TargetRow)));
        b.bind(none);
        b.emit(mov64(r0, i64{0}));
    } else {
        return fail(ErrorKind::usage, "--broken " + kind + ": expected one of packet, null, value");
    }
    b.exit(no_reason);
    auto made = b.finish();
    if (!made) return fail(ErrorKind::failure, bpf::to_string(made.error()));
    return std::move(*made);
}

/// Maps and interfaces that stand for the real ones: nothing is attached, and nothing of a running instance
/// is touched.
struct Scratch {
    std::vector<kernel::Map> maps = {};
    kernel::Resolver resolver = {};
};

Result<Scratch> make_scratch(const model::Plan& plan, const datapath::Maps& maps)
{
    Scratch scratch;
    for (const bpf::MapSpec* spec : maps.all()) {
        bpf::MapSpec small = *spec;
        if (small.name.starts_with("flows")) small.max_entries = 16;
        auto map = kernel::Map::create(small);
        if (!map) return std::unexpected(map.error());
        scratch.resolver.maps[spec->name] = map->fd();
        scratch.maps.push_back(std::move(*map));
    }
    u32 ifindex = 1;
    for (const auto* names : {&plan.interfaces, &plan.egress_interfaces})
        for (const auto& name : *names)
            scratch.resolver.values.try_emplace(datapath::ifindex_symbol(name), ifindex++);
    return scratch;
}

void print_accepted(const bpf::Program& program, const kernel::Program& loaded, bool figures)
{
    if (!figures) return fmt::print("{}: accepted; {} slots\n", program.name, program.code.size());
    const auto stats = kernel::parse_verifier_stats(loaded.log());
    const auto info = loaded.info();
    fmt::print("{}: accepted; {} slots", program.name, program.code.size());
    if (info)
        fmt::print(", {} bytes translated, {} bytes of machine code", info->xlated_bytes, info->jited_bytes);
    if (stats) {
        fmt::print("; verifier: {} instructions processed of {}, {} states (peak {}, {} on one instruction)",
                   stats->instructions, stats->instructions_limit, stats->total_states, stats->peak_states,
                   stats->max_states_per_insn);
        for (const u32 depth : stats->stack_depth) fmt::print(", stack {} bytes", depth);
        if (stats->microseconds) fmt::print(", {} us", *stats->microseconds);
    }
    fmt::print("\n");
}

} // namespace

Result<void> verify(const Options& options)
{
    const auto config = read_configuration(options);
    if (!config) return std::unexpected(config.error());
    const auto plan = model::make_plan(*config);
    if (!plan) return std::unexpected(plan.error());
    const auto features = kernel::probe_features();
    if (!features) return std::unexpected(features.error());
    const datapath::Maps maps(*plan);
    auto programs = generate(*plan, maps, options.program, *features);
    if (!programs) return std::unexpected(programs.error());
    if (options.broken) {
        auto broken = broken_program(*options.broken, maps);
        if (!broken) return std::unexpected(broken.error());
        *programs = {std::move(*broken)};
    }
    const auto scratch = make_scratch(*plan, maps);
    if (!scratch) return std::unexpected(scratch.error());
    for (const auto& program : *programs) {
        const auto loaded = kernel::Program::load(program, scratch->resolver,
                                                  {.log_level = options.log_level | kernel::log_stats});
        if (!loaded) {
            Error error = loaded.error().error;
            if (options.log_level > 0) fmt::print("{}\n", loaded.error().log);
            if (!loaded.error().log.empty())
                error.message +=
                    "\n" + kernel::to_text(kernel::explain_rejection(loaded.error().log, program));
            return std::unexpected(std::move(error));
        }
        if (options.log_level > 0) fmt::print("{}\n", loaded->log());
        print_accepted(program, *loaded, options.stats);
    }
    return {};
}

} // namespace lb::cli
