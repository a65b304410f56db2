// Frames larger than a page, which a driver hands over in several buffers.
#include "setup.hpp"

using namespace lb::e2e;

TEST_CASE("jumbo frames are translated in both directions", "[e2e]")
{
    Balanced lab(config({proxy({.target = target("10.0.0.11")})}));
    for (const Namespace* host : {&lab.net.c1, &lab.net.b1}) host->ip("link set eth0 mtu 9000");
    for (const char* device : {"eth0", "port1", "br0"})
        lab.net.balancer.ip(std::string("link set ") + device + " mtu 9000");
    for (const Namespace* host : {&lab.net.c1, &lab.net.b1})
        host->nft(R"(
            table ip lab {
                counter large { }
                chain in {
                    type filter hook input priority 0;
                    meta length > 8000 counter name large
                }
            })");
    const Transfer up = upload(lab.from_c1(vip_web), 5 * megabyte);
    INFO(up.error);
    CHECK(up.ok);
    const Transfer down = download(lab.from_c1(vip_web), 5 * megabyte);
    INFO(down.error);
    CHECK(down.ok);
    // Otherwise the test shows nothing: large frames have crossed.
    for (const Namespace* host : {&lab.net.c1, &lab.net.b1})
        CHECK(host->exec("nft list counter ip lab large").find("packets 0 ") == std::string::npos);
}
