#include "programs.hpp"

#include "model/config_reader.hpp"

#include <catch2/catch.hpp>

namespace lb::test {

Programs generate(const std::string& text, const std::string& kernel)
{
    const auto config = model::read_config(text, "configuration");
    if (!config) FAIL(config.error().message);
    const auto plan = model::make_plan(*config);
    if (!plan) FAIL(plan.error().message);
    const auto features = KernelFeatures::from_version(kernel);
    if (!features) FAIL(features.error().message);
    const datapath::Maps maps(*plan);
    auto ingress = datapath::make_ingress(*plan, maps, *features);
    if (!ingress) FAIL(bpf::to_string(ingress.error()));
    auto egress = datapath::make_egress(*plan, maps, *features);
    if (!egress) FAIL(bpf::to_string(egress.error()));
    return {std::move(*ingress), std::move(*egress)};
}

} // namespace lb::test
