// The kernel and bpftool read our BTF: what they show is what was described.
#include "lb/asm/btf.hpp"

#include <array>
#include <bpf/bpf.h>
#include <catch2/catch.hpp>
#include <cstdio>
#include <cstring>
#include <string>
#include <unistd.h>

#include "need.hpp"

using namespace lb;
using namespace lb::bpf;

namespace {

const bool ready = [] {
    test::need_bpf();
    return true;
}();

class Fd {
public:
    explicit Fd(int fd) : fd_(fd) {}
    Fd(const Fd&) = delete;
    Fd& operator=(const Fd&) = delete;
    ~Fd()
    {
        if (fd_ >= 0) close(fd_);
    }
    int get() const { return fd_; }

private:
    int fd_ = -1;
};

std::string run(const std::string& command)
{
    FILE* pipe = popen((command + " 2>&1").c_str(), "r");
    REQUIRE(pipe != nullptr);
    std::string output;
    std::array<char, 4096> chunk{};
    for (std::size_t n = 0; (n = fread(chunk.data(), 1, chunk.size(), pipe)) > 0;)
        output.append(chunk.data(), n);
    pclose(pipe);
    return output;
}

bool has_bpftool() { return run("bpftool version").find("bpftool v") != std::string::npos; }

int load_btf(const std::vector<u8>& blob, std::string& log)
{
    log.assign(65536, '\0');
    LIBBPF_OPTS(bpf_btf_load_opts, options, .log_buf = log.data(), .log_level = 1,
                .log_size = static_cast<u32>(log.size()));
    const int fd = bpf_btf_load(blob.data(), blob.size(), &options);
    log.resize(std::strlen(log.c_str()));
    return fd;
}

int load_program(const Program& program, const ProgramBtf& btf, int btf_fd, std::string& log)
{
    log.assign(65536, '\0');
    LIBBPF_OPTS(bpf_prog_load_opts, options);
    options.prog_btf_fd = static_cast<u32>(btf_fd);
    options.func_info = btf.functions.data();
    options.func_info_cnt = static_cast<u32>(btf.functions.size());
    options.func_info_rec_size = sizeof(BtfFunction);
    options.line_info = btf.lines.data();
    options.line_info_cnt = static_cast<u32>(btf.lines.size());
    options.line_info_rec_size = sizeof(BtfLine);
    options.log_level = 2;
    options.log_buf = log.data();
    options.log_size = static_cast<u32>(log.size());
    const int fd =
        bpf_prog_load(static_cast<bpf_prog_type>(program.type), program.name.c_str(), "GPL",
                      reinterpret_cast<const bpf_insn*>(program.code.data()), program.code.size(), &options);
    log.resize(std::strlen(log.c_str()));
    return fd;
}

template <class T> u32 id_of(int fd)
{
    T info{};
    u32 size = sizeof info;
    REQUIRE(bpf_obj_get_info_by_fd(fd, &info, &size) == 0);
    return info.id;
}

// r1 = 7; call hash; r1 = imm64; exit; hash: r0 = r1; exit.
Program small_program()
{
    return {.name = "lb_small",
            .code = {{0xb7, 0x01, 0, 7},
                     {0x85, 0x10, 0, 3},
                     {0x18, 0x01, 0, 5},
                     {},
                     {0x95, 0, 0, 0},
                     {0xbf, 0x10, 0, 0},
                     {0x95, 0, 0, 0}},
            .lines = {{0, "ingress.cpp", 34, 9, "parse eth/ipv4/tcp"},
                      {2, "ingress.cpp", 41, 5, "find the service"},
                      {5, "hash.cpp", 12, 5, "hash the tuple"}},
            .functions = {{"lb_small", 0, 1}, {"hash_tuple", 5, 1}}};
}

struct Key {
    u32 prefix_length = 0;
    be32 address{};
};
struct Value {
    u64 packets = 0;
    be16 port{};
    u8 mac[6] = {};
    i32 change = 0;
    u32 zero = 0;
};

} // namespace

template <>
inline constexpr auto
    lb::bpf::fields<Key> = lb::bpf::describe<Key>("route_key", member("prefix_length", &Key::prefix_length),
                                                  member("address", &Key::address));
template <>
inline constexpr auto lb::bpf::fields<Value> = lb::bpf::describe<Value>(
    "route", member("packets", &Value::packets), member("port", &Value::port), member("mac", &Value::mac),
    member("change", &Value::change), member("zero", &Value::zero));

namespace {

int create_map(const MapSpec& spec, const MapBtf& btf, int btf_fd)
{
    LIBBPF_OPTS(bpf_map_create_opts, options);
    options.btf_fd = static_cast<u32>(btf_fd);
    options.btf_key_type_id = btf.key_type_id;
    options.btf_value_type_id = btf.value_type_id;
    options.map_flags = spec.flags;
    return bpf_map_create(static_cast<bpf_map_type>(spec.type), spec.name.c_str(), spec.key_size,
                          spec.value_size, spec.max_entries, &options);
}

// Creates the map with its BTF, stores one entry and returns what bpftool shows of it.
template <class K> std::string dump_of(const MapSpec& spec, const K& key, const void* value)
{
    const auto btf = map_btf(spec);
    REQUIRE(btf);
    std::string log;
    const Fd types(load_btf(btf->blob, log));
    INFO(log);
    REQUIRE(types.get() >= 0);
    const Fd map(create_map(spec, *btf, types.get()));
    INFO(std::strerror(errno));
    REQUIRE(map.get() >= 0);
    REQUIRE(bpf_map_update_elem(map.get(), &key, value, 0) == 0);
    if (!has_bpftool()) return {};
    return run("bpftool map dump id " + std::to_string(id_of<bpf_map_info>(map.get())));
}

bool contains(const std::string& text, const std::string& part)
{
    return text.find(part) != std::string::npos;
}

} // namespace

TEST_CASE("the verifier's log and bpftool show the lines that a program was made from", "[kernel]")
{
    const Program program = small_program();
    const ProgramBtf btf = program_btf(program);
    std::string log;
    const Fd types(load_btf(btf.blob, log));
    INFO(log);
    REQUIRE(types.get() >= 0);
    const Fd loaded(load_program(program, btf, types.get(), log));
    INFO(log);
    REQUIRE(loaded.get() >= 0);
    CHECK(contains(log, "; parse eth/ipv4/tcp @ ingress.cpp:34"));
    CHECK(contains(log, "; find the service @ ingress.cpp:41"));
    CHECK(contains(log, "; hash the tuple @ hash.cpp:12"));
    CHECK_FALSE(contains(log, "arg#0")); // the kernel takes the entry's signature as it is

    if (!has_bpftool()) {
        WARN("bpftool is not installed: its view was not tested");
        return;
    }
    const std::string dump =
        run("bpftool prog dump xlated id " + std::to_string(id_of<bpf_prog_info>(loaded.get())) + " linum");
    INFO(dump);
    CHECK(contains(dump, "int lb_small(struct xdp_md * ctx):"));
    CHECK(contains(dump, "u64 hash_tuple(u64 arg1):"));
    CHECK(contains(dump, "; parse eth/ipv4/tcp [file:ingress.cpp line_num:34 line_col:9]"));
    CHECK(contains(dump, "; hash the tuple [file:hash.cpp line_num:12 line_col:5]"));
}

TEST_CASE("the entry of each type of program has a signature that the kernel takes", "[kernel]")
{
    for (const ProgramType type : {ProgramType::xdp, ProgramType::sched_cls, ProgramType::socket_filter}) {
        Program program = small_program();
        program.type = type;
        const ProgramBtf btf = program_btf(program);
        std::string log;
        const Fd types(load_btf(btf.blob, log));
        INFO(log);
        REQUIRE(types.get() >= 0);
        const Fd loaded(load_program(program, btf, types.get(), log));
        INFO(log);
        CHECK(loaded.get() >= 0);
        CHECK_FALSE(contains(log, "arg#0"));
    }
}

TEST_CASE("names that are no identifiers, and functions without lines, load all the same", "[kernel]")
{
    Program program = small_program();
    program.functions[0].name = "4 way-balancer";
    program.lines = {{1, "ingress.cpp", 1u << 30, 1u << 30, "two\nlines"},
                     {3, "inside.cpp", 1, 1, "ld_imm64"}};
    const ProgramBtf btf = program_btf(program);
    std::string log;
    const Fd types(load_btf(btf.blob, log));
    INFO(log);
    REQUIRE(types.get() >= 0);
    const Fd loaded(load_program(program, btf, types.get(), log));
    INFO(log);
    CHECK(loaded.get() >= 0);
}

TEST_CASE("bpftool shows the members of a hash map by name", "[kernel]")
{
    const Map<Key, Value> spec("btf_hash", MapType::hash, 4);
    const Value value{.packets = 9, .port = be16{80}, .mac = {1, 2, 3, 4, 5, 6}, .change = -3};
    const std::string dump = dump_of(spec, Key{24, be32{0x0a000000}}, &value);
    INFO(dump);
    if (dump.empty()) return;
    CHECK(contains(dump, "\"prefix_length\": 24"));
    CHECK(contains(dump, "\"address\": 10")); // network order, as a little-endian number
    CHECK(contains(dump, "\"packets\": 9"));
    CHECK(contains(dump, "\"port\": 20480"));
    CHECK(contains(dump, "\"mac\": [1,2,3,4,5,6"));
    CHECK(contains(dump, "\"change\": -3"));
}

TEST_CASE("bpftool shows the members of an LPM trie by name", "[kernel]")
{
    const Map<Key, Value> spec("btf_lpm", MapType::lpm_trie, 4, map_no_prealloc);
    const Value value{.packets = 11};
    const std::string dump = dump_of(spec, Key{8, be32{0x0a000000}}, &value);
    INFO(dump);
    if (dump.empty()) return;
    CHECK(contains(dump, "\"prefix_length\": 8"));
    CHECK(contains(dump, "\"packets\": 11"));
}

TEST_CASE("bpftool shows the members of a per-CPU array by name", "[kernel]")
{
    const Map<u32, Value> spec("btf_percpu", MapType::percpu_array, 1);
    // One value for each possible CPU, and room for more of them than this machine has.
    const std::vector<Value> values(1024, Value{.packets = 13});
    const std::string dump = dump_of(spec, u32{0}, values.data());
    INFO(dump);
    if (dump.empty()) return;
    CHECK(contains(dump, "\"key\": 0"));
    CHECK(contains(dump, "\"packets\": 13"));
}
