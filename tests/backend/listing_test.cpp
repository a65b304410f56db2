// The programs of two backends as text that is reviewed when it changes.
//
//     LB_UPDATE_GOLDEN=1 build/tests/backend/backend_test    writes them anew
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "datapath/decap.hpp"
#include "lb/asm/disasm.hpp"

#include <catch2/catch.hpp>

using namespace lb;

namespace {

const std::filesystem::path folder = std::filesystem::path(LB_SOURCE_ROOT) / "tests/backend";

std::string read(const std::filesystem::path& path)
{
    std::ifstream in(path, std::ios::binary);
    std::ostringstream text;
    text << in.rdbuf();
    return text.str();
}

bpf::Program must(std::expected<bpf::Program, bpf::Error> made)
{
    if (!made) FAIL(bpf::to_string(made.error()));
    return std::move(*made);
}

struct Made {
    bpf::Program decap, clamp;
};

Made make(const model::Backend& backend)
{
    const auto features = *KernelFeatures::from_version("6.18");
    const datapath::BackendMaps maps;
    return {must(datapath::make_decap(backend, maps, features)),
            must(datapath::make_mss_clamp(backend, {.ipv4 = 1440, .ipv6 = 1420}, maps, features))};
}

void check_listing(const std::string& name, const model::Backend& backend)
{
    const Made made = make(backend);
    std::string text;
    for (const auto* program : {&made.decap, &made.clamp})
        text += "# " + program->name + " " + std::to_string(program->code.size()) + " slots\n" +
                disassemble(*program, {.positions = false}) + "\n";
    const auto path = folder / (name + ".txt");
    if (std::getenv("LB_UPDATE_GOLDEN") != nullptr) std::ofstream(path, std::ios::binary) << text;
    INFO("where this is meant: LB_UPDATE_GOLDEN=1, and commit " << path);
    CHECK(text == read(path));
}

model::Backend backend(model::Tunnel tunnel, const std::vector<std::string>& vips)
{
    model::Backend made{.interfaces = {"eth0"}, .tunnel = tunnel};
    for (const auto& each : vips) made.vips.push_back(*IpAddress::parse(each));
    return made;
}

} // namespace

TEST_CASE("what is generated for a backend is what was reviewed", "[backend]")
{
    model::Backend small = backend(model::Tunnel::ipip, {"192.0.2.1"});
    small.senders = {*Prefix::parse("10.0.0.0/24")};
    check_listing("ipip", small);
    check_listing("gue", backend(model::Tunnel::gue, {"192.0.2.1", "2001:db8::1"}));
}

TEST_CASE("what a backend does not need adds no instruction", "[backend]")
{
    const auto size = [](const model::Backend& made) { return make(made).decap.code.size(); };
    const model::Backend four = backend(model::Tunnel::ipip, {"192.0.2.1"});
    const model::Backend both = backend(model::Tunnel::ipip, {"192.0.2.1", "2001:db8::1"});
    model::Backend guarded = four;
    guarded.senders = {*Prefix::parse("10.0.0.0/24"), *Prefix::parse("2001:db8:1::/64")};
    CHECK(size(four) < size(both));
    CHECK(size(four) < size(guarded));
    CHECK(size(both) < size(backend(model::Tunnel::gue, {"192.0.2.1", "2001:db8::1"})));
    CHECK(make(four).clamp.code.size() < make(both).clamp.code.size());
}
