// The configuration reader, source routes.
#include "config_text.hpp"

using namespace lb;
using namespace lb::model;
using namespace lb::test;

namespace {

const std::string target = R"("target": {"ip": "10.0.0.1", "port": 80})";

std::string route(const std::string& source) { return R"([{"source": ")" + source + "\", " + target + "}]"; }

} // namespace

TEST_CASE("a source is a prefix, or an address as a prefix of all its bits", "[config]")
{
    const std::pair<const char*, const char*> rows[] = {{"192.168.0.0/16", "192.168.0.0/16"},
                                                        {"10.1.1.1", "10.1.1.1/32"},
                                                        {"10.1.1.1/32", "10.1.1.1/32"},
                                                        {"0.0.0.0/0", "0.0.0.0/0"},
                                                        {"128.0.0.0/1", "128.0.0.0/1"}};
    for (const auto& [text, read] : rows)
        CHECK(accepted(in_routes(route(text))).proxies[0].source_routes[0].source.text() == read);
}

TEST_CASE("a source with bits below its prefix is refused with the network that was meant", "[config]")
{
    const std::string path = "13: proxies[0].source-routes[0].source: ";
    const std::string set = "bits are set below the prefix: the network is ";
    check_refusals(in_routes,
                   {{route("192.168.7.9/16"), path + "\"192.168.7.9/16\": " + set + "192.168.0.0/16"},
                    {route("10.0.0.1/0"), path + "\"10.0.0.1/0\": " + set + "0.0.0.0/0"},
                    {route("10.0.0.1/31"), path + "\"10.0.0.1/31\": " + set + "10.0.0.0/31"},
                    {route("2001:db8::1/32"), path + "\"2001:db8::1/32\": " + set + "2001:db8::/32"}});
}

TEST_CASE("what is no prefix is refused", "[config]")
{
    const std::string form = ": expected an IP address or a prefix such as 192.168.0.0/16";
    for (const char* source : {"10.0.0.0/33", "2001:db8::/129", "10.0.0.0/", "10.0.0.0/08", "10.0.0.0/-1",
                               "10.0.0/8", "", "any"}) {
        CHECK(refusal(in_routes(route(source))) ==
              "t.json:2:13: proxies[0].source-routes[0].source: \"" + std::string(source) + "\"" + form);
    }
}

TEST_CASE("a source twice is refused at the second, however it is written", "[config]")
{
    const std::string twice = R"([{"source": "10.1.1.1", )" + target + "},\n{\"source\": \"10.1.1.0/24\", " +
                              target + "},\n{\"source\": \"10.1.1.1/32\", " + target + "}]";
    CHECK(refusal(in_routes(twice)) ==
          "t.json:4:12: proxies[0].source-routes[2].source: \"10.1.1.1/32\": the same "
          "source as proxies[0].source-routes[0]");
}

TEST_CASE("a route has either one target or a list of targets", "[config]")
{
    const std::string two =
        R"([{"ip": "10.0.0.1", "port": 80, "weight": 40}, {"ip": "10.0.0.2", "port": 80, "weight": 60}])";
    const Config config = accepted(in_routes(R"([{"source": "10.0.0.0/8", "targets": )" + two +
                                             R"(}, {"source": "11.0.0.0/8", )" + target + "}]"));
    CHECK(config.proxies[0].source_routes[0].targets.size() == 2);
    CHECK(config.proxies[0].source_routes[0].targets[1].weight == 60);
    CHECK(config.proxies[0].source_routes[1].targets.size() == 1);
    check_refusals(
        in_routes,
        {{R"([{"source": "10.0.0.0/8", "targets": )" + two + ", " + target + "}]",
          R"(2: proxies[0].source-routes[0]: both "target" and "targets": expected one of them)"},
         {R"([{"source": "10.0.0.0/8"}])",
          R"(2: proxies[0].source-routes[0]: expected "target" or "targets")"},
         {R"([{"source": "10.0.0.0/8", "target": )" + two + "}]",
          R"(37: proxies[0].source-routes[0].target: [...]: expected a target, or "targets" with a list)"},
         {R"([{"source": "10.0.0.0/8", "targets": {}}])",
          R"(38: proxies[0].source-routes[0].targets: {}: expected a list, or "target" with one target)"}});
}

TEST_CASE("a proxy takes 10,000 source routes and no more", "[config]")
{
    const auto each = [](std::size_t i) {
        return "{\"source\": \"10.0." + std::to_string(i / 256) + "." + std::to_string(i % 256) + "\", " +
               target + "}";
    };
    CHECK(accepted(in_routes(list_of(10000, each))).proxies[0].source_routes.size() == 10000);
    check_refusals(in_routes, {{list_of(10001, each),
                                "1: proxies[0].source-routes: 10001 elements: expected at most 10000"}});
}
