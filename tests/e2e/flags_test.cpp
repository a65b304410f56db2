// The flags of lb run, over the lb.json of the working folder.
#include "setup.hpp"

using namespace lb::e2e;

TEST_CASE("lb.json is read where it lies, and -i, -p, -t and -s go over it", "[e2e]")
{
    Topology net;
    const auto servers = start_backends(net);
    const std::string instance = instance_name("flags");
    const auto folder =
        write_file("lb.json", config({proxy({.interfaces = R"(["eth9"])", .port = 99})}, "", instance))
            .parent_path();
    const Argv lb_there{"env", "-C", folder.string(), lb_program()};
    const auto with = [&](Argv flags) {
        Argv argv = lb_there;
        argv.insert(argv.end(), flags.begin(), flags.end());
        return argv;
    };
    Child daemon(with({"-i", "eth0", "-i", "eth1", "-p", "81", "-t", "10.0.0.12:8080", "-s", "-v"}),
                 net.balancer.fd());
    INFO(daemon.log());
    REQUIRE(daemon.wait_for("ready: ", 5s));
    for (const Namespace* client : {&net.c1, &net.c2}) {
        CHECK(who({.to = "203.0.113.80:81", .netns = client->fd()}) == "b2");
        CHECK(who({.to = "203.0.113.80:99", .netns = client->fd()}, 300ms).rfind("failed", 0) == 0);
    }
    CHECK(daemon.wait_for("connection new tcp", 2s));         // -s
    CHECK(daemon.log().find(" debug ") != std::string::npos); // -v
    daemon.signal(SIGTERM);
    CHECK(daemon.wait(5s) == 0);
    std::filesystem::remove_all("/run/lb/" + instance);

    const Output missing = run(with({"run"}), net.balancer.fd());
    CHECK(missing.status == 5);
    CHECK(missing.text.find("there is no interface 'eth9' here") != std::string::npos);
    std::filesystem::remove_all("/run/lb/" + instance);
}
