#include "kernel_fixture.hpp"

#include "kernel/fd.hpp"
#include "kernel/interfaces.hpp"
#include "lb/asm/encode.hpp"
#include "need.hpp"

#include <arpa/inet.h>
#include <array>
#include <chrono>
#include <cstdlib>
#include <linux/if_packet.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <thread>

namespace lb::test {

using namespace bpf;

namespace {

constexpr u16 test_ethertype = 0x88b5; // IEEE 802: for local experiments

std::string bpffs_path;

void remove_mount_point() { ::rmdir(bpffs_path.c_str()); }

const bool ready = [] {
    need_bpf();
    // The mount point is made before the process leaves the common mount namespace, so that it can be
    // removed.
    char folder[] = "/tmp/lb-kernel-test-XXXXXX";
    if (!::mkdtemp(folder)) skip("needs to make a folder in /tmp");
    bpffs_path = folder;
    std::atexit([] {
        ::umount2(bpffs_path.c_str(), MNT_DETACH);
        remove_mount_point();
    });
    if (::unshare(CLONE_NEWNET | CLONE_NEWNS) != 0) skip("needs the right to make a network namespace");
    ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr);
    if (::mount("bpffs", bpffs_path.c_str(), "bpf", 0, "mode=0700") != 0)
        skip("needs the right to mount a bpffs");
    // Without this, neighbour discovery would mix its own frames and addresses into what the tests count.
    if (std::system("ip link set lo up && sysctl -q -w net.ipv6.conf.all.disable_ipv6=1 "
                    "net.ipv6.conf.default.disable_ipv6=1") != 0)
        skip("needs the command ip");
    return true;
}();

} // namespace

const std::string& private_bpffs() { return bpffs_path; }

std::string run(const std::string& command)
{
    INFO(command);
    std::string output;
    FILE* pipe = ::popen((command + " 2>&1").c_str(), "r");
    REQUIRE(pipe);
    char part[512];
    while (std::fgets(part, sizeof(part), pipe)) output += part;
    const int status = ::pclose(pipe);
    INFO(output);
    REQUIRE(status == 0);
    return output;
}

VethPair::VethPair(std::string name_, std::string peer_, const std::string& mtu, const std::string& options)
    : name(std::move(name_)),
      peer(std::move(peer_)),
      index([&] {
          run("ip link add " + name + " mtu " + mtu + " " + options + " type veth peer name " + peer +
              " mtu " + mtu);
          run("ip link set " + name + " up && ip link set " + peer + " up");
          return must(kernel::interface_by_name(name)).index;
      }()),
      peer_index(must(kernel::interface_by_name(peer)).index)
{}

VethPair::~VethPair()
{
    if (std::system(("ip link del " + name + " 2>/dev/null").c_str()) != 0)
        WARN("removing " << name << " failed");
}

bpf::Program assemble(std::string name, ProgramType type, AttachType attach, const std::vector<Insn>& insns)
{
    bpf::Program program{.name = name, .type = type, .attach = attach};
    for (const auto& insn : insns) {
        program.lines.push_back(
            {.slot = static_cast<u32>(program.code.size()), .file = "test.cpp", .line = 1});
        REQUIRE(encode(insn, program.code).has_value());
    }
    program.functions = {{.name = std::move(name), .slot = 0}};
    return program;
}

bpf::Program returning(std::string name, ProgramType type, AttachType attach, i64 verdict)
{
    return assemble(std::move(name), type, attach, {mov64(r0, verdict), bpf::exit()});
}

kernel::Program load(const bpf::Program& program, const kernel::Resolver& resolver)
{
    auto loaded = kernel::Program::load(program, resolver);
    if (!loaded) FAIL(loaded.error().error.message << "\n" << loaded.error().log);
    return std::move(*loaded);
}

Counters::Counters()
    : map(must(kernel::Map::create(MapSpec{.name = "counters",
                                           .type = MapType::array,
                                           .key_size = 4,
                                           .value_size = sizeof(Slots),
                                           // Programs may name the place of a value only in an array of one.
                                           .max_entries = 1,
                                           .flags = map_mmapable}))),
      values(must(kernel::MappedArray::open(map)))
{}

u64 Counters::read(u32 slot) const { return __atomic_load_n(&values.as<Slots>()[0][slot], __ATOMIC_RELAXED); }

u64 Counters::wait(u32 slot, u64 value) const
{
    for (int i = 0; i < 2000 && read(slot) < value; ++i)
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
    return read(slot);
}

kernel::Program Counters::counting(std::string name, ProgramType type, AttachType attach, u32 slot,
                                   i64 verdict) const
{
    const bool xdp = type == ProgramType::xdp;
    // The frame's bounds are at 0 and 4 of xdp_md, and at 76 and 80 of __sk_buff.
    auto program = assemble(std::move(name), type, attach,
                            {load(Width::w32, r2, r1, xdp ? i16{0} : i16{76}),                 //
                             load(Width::w32, r3, r1, xdp ? i16{4} : i16{80}),                 //
                             mov64(r4, r2), alu64(Alu::add, r4, 14), jump(Jmp::gt, r4, r3, 6), // too short
                             load(Width::w16, r5, r2, 12),                                     //
                             jump(Jmp::ne, r5, htons(test_ethertype), 4),              // another's frame
                             ld_imm64(r1, 0, Pseudo::map_value),                       //
                             mov64(r2, 1), atomic(Atomic::add, Width::w64, r1, 0, r2), //
                             mov64(r0, verdict), bpf::exit()});
    program.code[8].imm = static_cast<i32>(slot * 8);
    program.relocs = {{.kind = Reloc::Kind::map_value, .slot = 7, .symbol = "counters"}};
    return test::load(program, {.maps = {{"counters", map.fd()}}});
}

void send_frames(u32 ifindex, u32 count)
{
    kernel::Fd socket(::socket(AF_PACKET, SOCK_RAW, 0));
    REQUIRE(socket);
    sockaddr_ll to{};
    to.sll_family = AF_PACKET;
    to.sll_ifindex = static_cast<int>(ifindex);
    to.sll_halen = 6;
    std::array<u8, 60> frame{};
    frame.fill(0xff); // a broadcast from nobody
    frame[12] = test_ethertype >> 8;
    frame[13] = test_ethertype & 0xff;
    for (u32 i = 0; i < count; ++i)
        REQUIRE(::sendto(socket.get(), frame.data(), frame.size(), 0,
                         static_cast<sockaddr*>(static_cast<void*>(&to)), sizeof(to)) == 60);
}

} // namespace lb::test
