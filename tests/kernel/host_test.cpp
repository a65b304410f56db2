// The host around the programs: features of the kernel, the folder of pins, settings, the lock.
#include "kernel/bpffs.hpp"
#include "kernel/features.hpp"
#include "kernel/lock.hpp"
#include "kernel/network_namespace.hpp"
#include "kernel/sysctl.hpp"
#include "kernel_fixture.hpp"

#include <cerrno>
#include <filesystem>
#include <sched.h>
#include <set>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

using namespace lb;
using namespace lb::kernel;
using lb::test::contains;
using lb::test::must;

TEST_CASE("the probes find every feature that the kernel's version promises")
{
    auto probed = must(probe_features());
    auto promised = must(features_of_version(must(kernel_release())));
    INFO(to_text(probed));
    for (const auto& row : kernel_feature_rows) {
        INFO(row.name);
        // A distribution may have back-ported more.
        if (promised.*row.member) CHECK(probed.*row.member);
    }
    if (probed.major == 6 && probed.minor == 18) CHECK(probed == must(features_of_version("6.18")));
}

TEST_CASE("features are printed with those that are missing")
{
    CHECK(to_text(must(features_of_version("6.1"))) ==
          "Linux 6.1: jiffies64 coarse_clock bpf_loop xdp_frags; without isa_v4 tcx may_goto load_acquire");
    CHECK(to_text(must(features_of_version("6.18"))) ==
          "Linux 6.18: jiffies64 coarse_clock bpf_loop xdp_frags isa_v4 tcx may_goto load_acquire");
}

TEST_CASE("a network namespace has a number that no later one has")
{
    std::set<u64> numbers{network_namespace_id()};
    CHECK(network_namespace_id() == *numbers.begin());
    for (int i = 0; i < 20; ++i) // each goes with its thread, so that its inode is free again
        std::thread([&] {
            if (::unshare(CLONE_NEWNET) == 0) numbers.insert(network_namespace_id());
        }).join();
    CHECK(numbers.size() == 21);
}

TEST_CASE("an instance has a folder of its own that goes with its last pin")
{
    auto map = must(Map::create(
        {.name = "pin", .type = bpf::MapType::array, .key_size = 4, .value_size = 4, .max_entries = 1}));
    const std::string bpffs = test::private_bpffs() + "/instances";
    std::filesystem::create_directory(bpffs);
    auto absent = PinFolder::at("web.1", bpffs);
    CHECK_FALSE(absent.exists());
    CHECK(must(absent.list()).empty());
    must(absent.remove_all());

    // A dot is fine in an instance's name, though the kernel allows none in a bpffs.
    auto folder = must(PinFolder::create("web.1", bpffs));
    auto again = must(PinFolder::create("web.1", bpffs));
    CHECK(again.path() == folder.path());
    struct stat status {};
    REQUIRE(::stat(folder.path().c_str(), &status) == 0);
    CHECK((status.st_mode & 0777) == 0700);
    must(map.pin(folder.path_of("b")));
    must(map.pin(folder.path_of("a")));
    CHECK(must(folder.list()) == std::vector<std::string>{"a", "b"});
    CHECK(folder.has("a"));
    CHECK(must(folder.remove("a")));
    CHECK_FALSE(must(folder.remove("a")));
    CHECK_FALSE(folder.has("a"));

    auto other = must(PinFolder::create("other", bpffs));
    CHECK(must(list_instances(bpffs)) == std::vector<std::string>{"other", "web.1"});
    must(folder.remove_all());
    CHECK_FALSE(folder.exists());
    CHECK(must(list_instances(bpffs)) == std::vector<std::string>{"other"});
    must(other.remove_all());
    CHECK(must(list_instances(bpffs)).empty());
    CHECK_FALSE(std::filesystem::exists(bpffs + "/lb"));
}

TEST_CASE("a bpffs is mounted where there is none, and said so")
{
    char folder[] = "/tmp/lb-bpffs-XXXXXX";
    REQUIRE(::mkdtemp(folder));
    CHECK_FALSE(is_bpffs(folder));
    auto refused = PinFolder::create("x", folder);
    REQUIRE_FALSE(refused);
    CHECK(refused.error().kind == ErrorKind::host_not_ready);
    CHECK(contains(refused.error().message, "mount -t bpf bpffs " + std::string(folder)));
    CHECK(must(ensure_bpffs(folder)) == Mounted::by_us);
    CHECK(must(ensure_bpffs(folder)) == Mounted::was_there);
    CHECK(is_bpffs(folder));
    // Somebody's pins are in it: they would go with the mount.
    const auto others = must(PinFolder::create("other", folder));
    CHECK_FALSE(must(unmount_bpffs_if_empty(folder)));
    CHECK(others.exists());
    must(others.remove_all());
    CHECK(must(unmount_bpffs_if_empty(folder)));
    CHECK_FALSE(is_bpffs(folder));
    CHECK_FALSE(must(unmount_bpffs_if_empty(folder)));
    CHECK(::rmdir(folder) == 0);
    auto missing = ensure_bpffs(folder);
    REQUIRE_FALSE(missing);
    CHECK(contains(missing.error().message, "the folder is not there"));
}

TEST_CASE("a setting is changed, and its old value returned")
{
    const std::string name = "net/ipv4/conf/lo/rp_filter";
    must(set_sysctl(name, "0"));
    CHECK(must(set_sysctl(name, "2")) == "0");
    CHECK(must(read_sysctl(name)) == "2");
    CHECK(must(set_sysctl(name, "2")) == "2");
    CHECK(read_sysctl("net/ipv4/conf/nothing/rp_filter").error().sys_errno == ENOENT);
    CHECK(set_sysctl(name, "many").error().sys_errno == EINVAL);
    CHECK(contains(set_sysctl(name, "many").error().message,
                   "setting /proc/sys/net/ipv4/conf/lo/rp_filter to many: Invalid argument (EINVAL)"));
    CHECK_FALSE(read_sysctl("../self/status").has_value());
    CHECK_FALSE(read_sysctl("/etc/passwd").has_value());
}

TEST_CASE("a lock has one holder, whose process the other learns, and is free when that ends")
{
    char folder[] = "/tmp/lb-lock-XXXXXX";
    REQUIRE(::mkdtemp(folder));
    const std::string path = std::string(folder) + "/run/default.lock";
    int ready[2], done[2];
    REQUIRE((::pipe(ready) == 0 && ::pipe(done) == 0));
    const pid_t child = ::fork();
    if (child == 0) {
        auto held = InstanceLock::acquire(path);
        char byte = held ? 'y' : 'n';
        if (::write(ready[1], &byte, 1) != 1 || ::read(done[0], &byte, 1) != 1) ::_exit(1);
        ::_exit(0);
    }
    char byte = 0;
    REQUIRE(::read(ready[0], &byte, 1) == 1);
    CHECK(byte == 'y');
    auto taken = InstanceLock::acquire(path);
    REQUIRE_FALSE(taken);
    CHECK(taken.error().message == path + " is locked by process " + std::to_string(child) +
                                       ": this instance runs already; stop it, or use another instance name");
    REQUIRE(::write(done[1], &byte, 1) == 1);
    REQUIRE(::waitpid(child, nullptr, 0) == child);
    for (int fd : {ready[0], ready[1], done[0], done[1]}) ::close(fd);
    {
        auto held = must(InstanceLock::acquire(path));
        CHECK(held);
        CHECK_FALSE(InstanceLock::acquire(path).has_value());
    }
    CHECK(InstanceLock::acquire(path).has_value());
    CHECK_FALSE(InstanceLock::acquire("/proc/lb/lock").has_value());
    std::filesystem::remove_all(folder);
}
