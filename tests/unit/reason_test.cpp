// The table of ways out of the programs.
#include "model/reason.hpp"

#include <algorithm>
#include <set>
#include <string>

#include <catch2/catch.hpp>

using namespace lb;
using namespace lb::model;

TEST_CASE("every reason has a row of its own, a name that no other has, and words for a person", "[reason]")
{
    std::set<std::string_view> names;
    for (u32 number = 0; number < reasons_count; ++number) {
        const ReasonInfo& reason = reasons[number];
        INFO(reason.name);
        CHECK(static_cast<u32>(reason.reason) == number);
        CHECK(&info(static_cast<Reason>(number)) == &reason);
        CHECK(names.insert(reason.name).second);
        CHECK(reason.text.size() > 8);
        CHECK(std::ranges::all_of(reason.name, [](char c) {
            return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
        }));
        CHECK(reason.text.back() != '.'); // it stands in a table
    }
    CHECK(reasons_count == names.size());
}

TEST_CASE("the same words for two reasons come on both ways only, never twice on one", "[reason]")
{
    std::set<std::pair<Role, std::string_view>> texts;
    for (const ReasonInfo& reason : reasons) {
        INFO(reason.name);
        CHECK(texts.emplace(reason.role, reason.text).second);
    }
}

TEST_CASE("reasons of the way out say so in their names", "[reason]")
{
    for (const ReasonInfo& reason : reasons) {
        INFO(reason.name);
        const bool egress = reason.name.starts_with("egress_") || reason.name == "reply_forwarded";
        CHECK((reason.role == Role::egress) == egress);
    }
}

TEST_CASE("reasons of a backend's programs begin with what they do", "[reason]")
{
    for (const ReasonInfo& reason : reasons) {
        INFO(reason.name);
        CHECK((reason.role == Role::backend) ==
              (reason.name.starts_with("decap") || reason.name.starts_with("mss_")));
    }
}

TEST_CASE("packets are dropped for these reasons and no others", "[reason]")
{
    std::vector<std::string> dropped;
    for (const ReasonInfo& reason : reasons)
        if (reason.outcome == Outcome::drop) dropped.emplace_back(reason.name);
    CHECK(dropped == std::vector<std::string>{"martian_loopback",
                                              "no_target",
                                              "table_full",
                                              "no_source_port",
                                              "internal",
                                              "denied",
                                              "source_connection_rate",
                                              "target_connection_rate",
                                              "source_packet_rate",
                                              "target_packet_rate",
                                              "too_big_unsaid",
                                              "dsr_tagged",
                                              "dsr_no_route",
                                              "dsr_not_on_link",
                                              "dsr_no_neighbour",
                                              "dsr_no_device",
                                              "dsr_failed",
                                              "no_source_address",
                                              "last_hop",
                                              "siit_no_checksum",
                                              "siit_source_route",
                                              "siit_icmp_unknown",
                                              "siit_failed",
                                              "siit_lost",
                                              "egress_loopback",
                                              "egress_failed",
                                              "decap_congested",
                                              "decap_failed",
                                              "mss_failed"});
}
