#include "cli/programs.hpp"

#include "datapath/generate.hpp"

namespace lb::cli {

Result<std::vector<bpf::Program>> generate(const model::Plan& plan, const datapath::Maps& maps, Which which,
                                           const KernelFeatures& features)
{
    std::vector<bpf::Program> programs;
    const auto add = [&](std::expected<bpf::Program, bpf::Error> made) -> Result<void> {
        if (!made) return fail(ErrorKind::failure, "generating a program: " + bpf::to_string(made.error()));
        programs.push_back(std::move(*made));
        return {};
    };
    const auto asked = [&](Which one) { return which == Which::all || which == one; };
    const bool has_inside = plan.expects_replies();
    if (which == Which::inside && !has_inside)
        return fail(ErrorKind::usage, "--program inside: this configuration has none; it is for full-nat and "
                                      "for \"path\": \"fast\"");
    if (which == Which::siit && !maps.across)
        return fail(ErrorKind::usage, "--program siit: this configuration has none; it is for full-nat from "
                                      "one IP version to targets of the other");
    if (asked(Which::ingress))
        if (auto done = add(datapath::make_ingress(plan, maps, features)); !done)
            return std::unexpected(done.error());
    if (asked(Which::egress))
        if (auto done = add(datapath::make_egress(plan, maps, features)); !done)
            return std::unexpected(done.error());
    if (has_inside && asked(Which::inside))
        if (auto done = add(datapath::make_inside(plan, maps, features)); !done)
            return std::unexpected(done.error());
    if (maps.across && asked(Which::siit))
        if (auto done = add(datapath::make_siit(plan, maps, features)); !done)
            return std::unexpected(done.error());
    return programs;
}

} // namespace lb::cli
