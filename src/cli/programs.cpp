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
    if (which != Which::egress)
        if (auto done = add(datapath::make_ingress(plan, maps, features)); !done)
            return std::unexpected(done.error());
    if (which != Which::ingress)
        if (auto done = add(datapath::make_egress(plan, maps, features)); !done)
            return std::unexpected(done.error());
    return programs;
}

} // namespace lb::cli
