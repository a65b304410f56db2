// The configuration reader: who may connect, and how often.
#include "config_text.hpp"

using namespace lb;
using namespace lb::model;
using namespace lb::test;

namespace {

ProxyConfig proxy_with(const std::string& part) { return accepted(in_good_proxy(part)).proxies[0]; }

std::vector<std::string> texts(const std::vector<Prefix>& prefixes)
{
    std::vector<std::string> all;
    for (const Prefix& each : prefixes) all.push_back(each.text());
    return all;
}

using Texts = std::vector<std::string>;

} // namespace

TEST_CASE("allow and deny are lists of prefixes of both families, empty by default", "[config]")
{
    const ProxyConfig plain = accepted(in_proxy(good_proxy)).proxies[0];
    CHECK(plain.allow.empty());
    CHECK(plain.deny.empty());
    CHECK(proxy_with(R"("allow": [], "deny": [])").allow.empty());
    const ProxyConfig proxy = proxy_with(
        R"("allow": ["10.0.0.0/8", "2001:db8::/32"], "deny": ["10.1.1.1", "::/0", "0.0.0.0/0", "2001:db8::1"])");
    CHECK(texts(proxy.allow) == Texts{"10.0.0.0/8", "2001:db8::/32"});
    CHECK(texts(proxy.deny) == Texts{"10.1.1.1/32", "::/0", "0.0.0.0/0", "2001:db8::1/128"});
    CHECK(texts(proxy_with(R"("allow": ["10.0.0.0/8"], "deny": ["10.0.0.0/8"])").allow) ==
          Texts{"10.0.0.0/8"}); // in both lists: deny wins, later
}

TEST_CASE("a prefix with bits below it, or twice in a list, is refused", "[config]")
{
    const std::string set = ": bits are set below the prefix: the network is ";
    check_refusals(
        in_good_proxy,
        {{R"("allow": ["10.0.0.1/8"])", R"(11: proxies[0].allow[0]: "10.0.0.1/8")" + set + "10.0.0.0/8"},
         {R"("deny": ["10.0.0.0/8", "2001:db8::1/32"])",
          R"(24: proxies[0].deny[1]: "2001:db8::1/32")" + set + "2001:db8::/32"},
         {R"("deny": ["10.1.1.1", "::/0", "10.1.1.1/32"])",
          R"(30: proxies[0].deny[2]: "10.1.1.1/32": the same prefix as proxies[0].deny[0])"},
         {R"("deny": ["10.0.0.0/33"])",
          R"(10: proxies[0].deny[0]: "10.0.0.0/33": expected an IP address or a prefix such as )"
          "192.168.0.0/16"}});
}

TEST_CASE("a list takes 10,000 prefixes and no more", "[config]")
{
    const auto each = [](std::size_t i) {
        return "\"10.0." + std::to_string(i / 256) + "." + std::to_string(i % 256) + "\"";
    };
    CHECK(proxy_with("\"allow\": " + list_of(10000, each)).allow.size() == 10000);
    CHECK(proxy_with("\"deny\": " + list_of(10000, each)).deny.size() == 10000);
    check_refusals(in_good_proxy, {{"\"allow\": " + list_of(10001, each),
                                    "10: proxies[0].allow: 10001 elements: expected at most 10000"}});
}

TEST_CASE("rate limits are read as they are written, in a proxy and in the settings", "[config]")
{
    const std::string text =
        R"("rate-limits": {"per-source": {"requests-per-sec": 1, "burst": 2, "packets-per-sec": 3,
           "packets-burst": 4, "prefix-length-ipv4": 24, "prefix-length-ipv6": 56},
           "per-target": {"requests-per-sec": 10000000, "burst": 10000000, "packets-per-sec": 7}})";
    for (const RateLimitKinds& kinds :
         {proxy_with(text).rate_limits, accepted(in_settings("{" + text + "}")).settings.rate_limits}) {
        CHECK(kinds.per_source.requests.per_sec == 1u);
        CHECK(kinds.per_source.requests.burst == 2u);
        CHECK(kinds.per_source.packets.per_sec == 3u);
        CHECK(kinds.per_source.packets.burst == 4u);
        CHECK(kinds.per_source.prefix_length_ipv4 == u8{24});
        CHECK(kinds.per_source.prefix_length_ipv6 == u8{56});
        CHECK(kinds.per_target.requests.per_sec == 10000000u);
        CHECK(kinds.per_target.requests.burst == 10000000u);
        CHECK(kinds.per_target.packets.per_sec == 7u);
        CHECK_FALSE(kinds.per_target.packets.burst);
        CHECK_FALSE(kinds.per_source.off);
    }
    const RateLimitKinds off = proxy_with(R"("rate-limits": {"per-source": false})").rate_limits;
    CHECK(off.per_source.off);
    CHECK_FALSE(off.per_target.off);
}

TEST_CASE("a limit of a proxy is an object, or false", "[config]")
{
    for (const char* value : {"true", "null", "5", "[]", "\"off\""})
        CHECK(refusal(in_good_proxy(R"("rate-limits": {"per-source": )" + std::string(value) + "}")) ==
              "t.json:2:31: proxies[0].rate-limits.per-source: " + std::string(value) +
                  ": expected an object, or false");
    check_refusals(
        in_settings,
        {{R"({"rate-limits": {"per-source": false}})", // there is nothing that it would be less than
          "32: settings.rate-limits.per-source: false: expected an object"}});
}

TEST_CASE("a burst without its rate is refused", "[config]")
{
    check_refusals(
        in_settings,
        {{R"({"rate-limits": {"per-source": {"burst": 5}}})",
          "42: settings.rate-limits.per-source.burst: 5: a burst of no rate: expected requests-per-sec "
          "beside it"},
         {R"({"rate-limits": {"per-target": {"requests-per-sec": 5, "packets-burst": 6}}})",
          "73: settings.rate-limits.per-target.packets-burst: 6: a burst of no rate: expected "
          "packets-per-sec beside it"}});
    check_refusals(
        in_good_proxy,
        {{R"("rate-limits": {"per-source": {"packets-per-sec": 5, "burst": 6}})",
          "63: proxies[0].rate-limits.per-source.burst: 6: a burst of no rate: expected requests-per-sec "
          "here or in settings.rate-limits"},
         {R"("rate-limits": {"per-target": {"packets-burst": 6}})",
          "49: proxies[0].rate-limits.per-target.packets-burst: 6: a burst of no rate: expected "
          "packets-per-sec here or in settings.rate-limits"},
         {R"("rate-limits": {"per-source": {"prefix-length-ipv4": 24}})",
          "31: proxies[0].rate-limits.per-source: {...}: a prefix length without a rate: expected "
          "requests-per-sec or packets-per-sec here or in settings.rate-limits"}});
    // The settings' rate will do.
    CHECK(accepted("{\"proxies\": [{" + good_name + ", " + good_listen + ", " + good_target +
                   R"(, "rate-limits": {"per-source": {"burst": 6, "prefix-length-ipv6": 48}}}],
                       "settings": {"rate-limits": {"per-source": {"requests-per-sec": 5}}}})")
              .proxies[0]
              .rate_limits.per_source.requests.burst == 6u);
}
