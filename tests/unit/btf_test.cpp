#include "lb/asm/btf.hpp"

#include <catch2/catch.hpp>
#include <cstring>
#include <string>

#include "asm/btf_types.hpp"

using namespace lb;
using namespace lb::bpf;

namespace {

constexpr RawInsn nop{.opcode = 0xb7}; // r0 = 0

std::vector<RawInsn> nops(std::size_t count) { return std::vector<RawInsn>(count, nop); }

u32 word_at(const std::vector<u8>& bytes, std::size_t offset)
{
    u32 value = 0;
    REQUIRE(offset + 4 <= bytes.size());
    std::memcpy(&value, bytes.data() + offset, 4);
    return value;
}

std::string string_at(const std::vector<u8>& blob, u32 offset)
{
    const u32 strings = 24 + word_at(blob, 16); // header, then str_off
    REQUIRE(strings + offset < blob.size());
    return reinterpret_cast<const char*>(blob.data() + strings + offset);
}

struct Pair {
    be32 address{};
    be16 port{};
    u8 protocol = 0;
    u8 zero = 0;
    u8 mac[6] = {};
    i16 delta = 0;
};
struct Prefix {
    u32 length = 0;
    be32 address{};
};

} // namespace

template <>
inline constexpr auto lb::bpf::fields<Pair> =
    lb::bpf::describe<Pair>("pair", member("address", &Pair::address), member("port", &Pair::port),
                            member("protocol", &Pair::protocol), member("zero", &Pair::zero),
                            member("mac", &Pair::mac), member("delta", &Pair::delta));
template <>
inline constexpr auto
    lb::bpf::fields<Prefix> = lb::bpf::describe<Prefix>("prefix", member("length", &Prefix::length),
                                                        member("address", &Prefix::address));

namespace {

MapSpec described(MapType type)
{
    return {.name = "m",
            .type = type,
            .key_size = sizeof(Prefix),
            .value_size = sizeof(Pair),
            .max_entries = 1,
            .key = struct_info<Prefix>(),
            .value = struct_info<Pair>()};
}

} // namespace

TEST_CASE("the blob of a program without lines is header, int, context, prototype, function and strings",
          "[btf]")
{
    const Program program{.name = "lb", .code = nops(1), .functions = {{.name = "lb"}}};
    const ProgramBtf btf = program_btf(program);
    // clang-format off
    const std::vector<u8> expected = {
        0x9f, 0xeb, 1, 0, 24, 0, 0, 0,  0, 0, 0, 0, 72, 0, 0, 0,  72, 0, 0, 0, 19, 0, 0, 0,
        1, 0, 0, 0,  0, 0, 0, 1,  4, 0, 0, 0,  32, 0, 0, 1,                // [1] int, 32 bits, signed
        5, 0, 0, 0,  0, 0, 0, 4,  0, 0, 0, 0,                              // [2] struct xdp_md
        0, 0, 0, 0,  0, 0, 0, 2,  2, 0, 0, 0,                              // [3] struct xdp_md *
        0, 0, 0, 0,  1, 0, 0, 13,  1, 0, 0, 0,  12, 0, 0, 0,  3, 0, 0, 0,  // [4] int (struct xdp_md *ctx)
        16, 0, 0, 0,  1, 0, 0, 12,  4, 0, 0, 0,                            // [5] lb, global
        0, 'i', 'n', 't', 0, 'x', 'd', 'p', '_', 'm', 'd', 0, 'c', 't', 'x', 0, 'l', 'b', 0};
    // clang-format on
    CHECK(btf.blob == expected);
    CHECK(btf.functions == std::vector<BtfFunction>{{0, 5}});
    CHECK(btf.lines.empty());
}

TEST_CASE("a string that is asked for twice lies in the table once", "[btf]")
{
    BtfTypes types;
    CHECK(types.string("") == 0);
    CHECK(types.string("ingress.cpp") == 1);
    CHECK(types.string("egress.cpp") == 13);
    CHECK(types.string("ingress.cpp") == 1);
    CHECK(types.string(std::string("cut\0off", 7)) == 24);
    CHECK(types.string("cut") == 24);
    CHECK(types.blob().size() == 24 + 28);
}

TEST_CASE("names become identifiers that the kernel takes", "[btf]")
{
    CHECK(btf_identifier("lb_ingress") == "lb_ingress");
    CHECK(btf_identifier("lb ingress-4.2") == "lb_ingress_4_2");
    CHECK(btf_identifier("4way") == "_4way");
    CHECK(btf_identifier("") == "_");
    CHECK(btf_identifier(std::string(300, 'x')).size() == 127);
    CHECK(btf_identifier("9" + std::string(300, 'x')).size() == 127);
}

TEST_CASE("a line record has slot, file, text and line << 10 | column", "[btf]")
{
    const Program program{.name = "lb",
                          .code = nops(3),
                          .lines = {{0, "in.cpp", 34, 5, "parse"}, {2, "in.cpp", 35, 9, "parse"}}};
    const ProgramBtf btf = program_btf(program);
    REQUIRE(btf.lines.size() == 2);
    CHECK(btf.lines[0] == BtfLine{0, 19, 26, 34821}); // 34 * 1024 + 5
    CHECK(btf.lines[1] == BtfLine{2, 19, 26, 35849}); // 35 * 1024 + 9
    CHECK(string_at(btf.blob, 19) == "in.cpp");
    CHECK(string_at(btf.blob, 26) == "parse");
}

TEST_CASE("columns and lines too large for the record are clamped", "[btf]")
{
    const Program program{.name = "lb", .code = nops(1), .lines = {{0, "in.cpp", 5'000'000, 2000, ""}}};
    const ProgramBtf btf = program_btf(program);
    REQUIRE(btf.lines.size() == 1);
    CHECK(btf.lines[0].line_column == 0xffff'ffff);
    CHECK(btf.lines[0].text_offset == 0);
}

TEST_CASE("line records rise strictly, and the last of those at one slot wins", "[btf]")
{
    const Program program{
        .name = "lb",
        .code = nops(3),
        .lines = {{2, "in.cpp", 3, 0, ""}, {0, "in.cpp", 1, 0, ""}, {2, "in.cpp", 4, 0, ""}}};
    const ProgramBtf btf = program_btf(program);
    REQUIRE(btf.lines.size() == 2);
    CHECK(btf.lines[0].slot == 0);
    CHECK(btf.lines[1].slot == 2);
    CHECK(btf.lines[1].line_column == 4096); // line 4
}

TEST_CASE("no line record lies inside an ld_imm64 or past the end", "[btf]")
{
    Program program{.name = "lb", .code = nops(3)};
    program.code[0].opcode = opcode_ld_imm64;
    program.code[1].opcode = 0;
    program.lines = {{0, "in.cpp", 1, 0, ""}, {1, "in.cpp", 2, 0, ""}, {3, "in.cpp", 3, 0, ""}};
    const ProgramBtf btf = program_btf(program);
    REQUIRE(btf.lines.size() == 1);
    CHECK(btf.lines[0].slot == 0);
}

TEST_CASE("every function begins with a line record, repeated from the line before where it has none",
          "[btf]")
{
    const Program program{.name = "lb",
                          .code = nops(5),
                          .lines = {{1, "in.cpp", 7, 0, "late"}},
                          .functions = {{"lb", 0, 1}, {"hash", 3, 2}}};
    const ProgramBtf btf = program_btf(program);
    REQUIRE(btf.lines.size() == 3);
    CHECK(btf.lines[0] == BtfLine{0, 0, 0, 0});
    CHECK(btf.lines[1].slot == 1);
    CHECK(btf.lines[2].slot == 3);
    CHECK(btf.lines[2].line_column == 7168); // line 7
}

TEST_CASE("a line break in a note becomes a space, so that the log stays one line", "[btf]")
{
    const Program program{.name = "lb", .code = nops(1), .lines = {{0, "in.cpp", 1, 0, "two\nlines"}}};
    const ProgramBtf btf = program_btf(program);
    REQUIRE(btf.lines.size() == 1);
    CHECK(string_at(btf.blob, btf.lines[0].text_offset) == "two lines");
}

TEST_CASE("a subprogram is a static function of scalars", "[btf]")
{
    const Program program{.name = "lb", .code = nops(4), .functions = {{"lb", 0, 1}, {"hash", 2, 2}}};
    const ProgramBtf btf = program_btf(program);
    CHECK(btf.functions == std::vector<BtfFunction>{{0, 5}, {2, 8}});
    // Types: int 16, struct 12, pointer 12, prototype 20, function 12, u64 16, prototype 12 + 2 * 8, function
    // 12 bytes.
    REQUIRE(word_at(btf.blob, 12) == 128);
    const std::size_t prototype = 24 + 88;
    CHECK(word_at(btf.blob, prototype + 4) == 0x0d00'0002);
    CHECK(word_at(btf.blob, prototype + 8) == 6);
    CHECK(string_at(btf.blob, word_at(btf.blob, prototype + 12)) == "arg1");
    CHECK(word_at(btf.blob, prototype + 16) == 6);
    CHECK(string_at(btf.blob, word_at(btf.blob, prototype + 20)) == "arg2");
    CHECK(word_at(btf.blob, prototype + 32) == 0x0c00'0000); // func, static
    CHECK(word_at(btf.blob, prototype + 36) == 7);
}

TEST_CASE("a map's key and value are structs with their members in place", "[btf]")
{
    const auto btf = map_btf(described(MapType::hash));
    REQUIRE(btf);
    CHECK(btf->key_type_id == 3); // u32, be32, prefix
    // prefix: u32 16, typedef 12, then name, struct with 2 members, 8 bytes.
    const std::size_t key = 24 + 28;
    CHECK(string_at(btf->blob, word_at(btf->blob, key)) == "prefix");
    CHECK(word_at(btf->blob, key + 4) == 0x0400'0002);
    CHECK(word_at(btf->blob, key + 8) == 8);
    CHECK(string_at(btf->blob, word_at(btf->blob, key + 12)) == "length");
    CHECK(word_at(btf->blob, key + 16) == 1);
    CHECK(word_at(btf->blob, key + 20) == 0);
    CHECK(string_at(btf->blob, word_at(btf->blob, key + 24)) == "address");
    CHECK(word_at(btf->blob, key + 28) == 2);
    CHECK(word_at(btf->blob, key + 32) == 32); // bits
    // pair: u16 16, be16 12, u8 16, array 24, s16 16 come first.
    const std::size_t value = key + 36 + 84;
    CHECK(btf->value_type_id == 9);
    CHECK(string_at(btf->blob, word_at(btf->blob, value)) == "pair");
    CHECK(word_at(btf->blob, value + 4) == 0x0400'0006);
    CHECK(word_at(btf->blob, value + 8) == 16);
    const std::vector<std::pair<std::string, u32>> members = {{"address", 0}, {"port", 32}, {"protocol", 48},
                                                              {"zero", 56},   {"mac", 64},  {"delta", 112}};
    for (std::size_t i = 0; i < members.size(); ++i) {
        CHECK(string_at(btf->blob, word_at(btf->blob, value + 12 + 12 * i)) == members[i].first);
        CHECK(word_at(btf->blob, value + 20 + 12 * i) == members[i].second);
    }
}

TEST_CASE("members described out of order are put in order of their offsets", "[btf]")
{
    MapSpec spec = described(MapType::hash);
    std::swap(spec.key.members[0], spec.key.members[1]);
    const auto btf = map_btf(spec);
    REQUIRE(btf);
    const std::size_t key = 24 + 28;
    CHECK(string_at(btf->blob, word_at(btf->blob, key + 12)) == "length");
    CHECK(string_at(btf->blob, word_at(btf->blob, key + 24)) == "address");
}

TEST_CASE("an array's key is a plain 32-bit integer, described or not", "[btf]")
{
    for (const MapType type : {MapType::array, MapType::percpu_array}) {
        MapSpec spec = described(type);
        spec.key_size = 4;
        spec.key = struct_info<be32>();
        const auto btf = map_btf(spec);
        REQUIRE(btf);
        CHECK(btf->key_type_id == 1);
        CHECK(string_at(btf->blob, word_at(btf->blob, 24)) == "u32");
        CHECK(word_at(btf->blob, 24 + 4) == 0x0100'0000); // int
        CHECK(word_at(btf->blob, 24 + 12) == 32);         // unsigned, 32 bits
    }
}

TEST_CASE("a key or value that is not described beside one that is becomes bytes", "[btf]")
{
    MapSpec spec = described(MapType::lru_hash);
    spec.value = {};
    const auto btf = map_btf(spec);
    REQUIRE(btf);
    // After prefix (28 + 36 bytes of types): u8 16, then the array of 16 u8.
    const std::size_t array = 24 + 64 + 16;
    CHECK(word_at(btf->blob, array + 4) == 0x0300'0000);
    CHECK(word_at(btf->blob, array + 20) == 16);
}

TEST_CASE("maps that the kernel refuses BTF for, or that nobody described, get none", "[btf]")
{
    for (const MapType type : {MapType::array_of_maps, MapType::hash_of_maps, MapType::devmap_hash,
                               MapType::ringbuf, MapType::prog_array})
        CHECK_FALSE(map_btf(described(type)));

    MapSpec nobody = described(MapType::hash);
    nobody.key = {};
    nobody.value = {};
    CHECK_FALSE(map_btf(nobody));

    MapSpec key_only = described(MapType::array);
    key_only.value = {};
    CHECK_FALSE(map_btf(key_only));

    MapSpec wrong_size = described(MapType::hash);
    wrong_size.key_size = 12;
    wrong_size.value_size = 4;
    CHECK_FALSE(map_btf(wrong_size));
}

TEST_CASE("an LPM trie wants a struct as its key", "[btf]")
{
    CHECK(map_btf(described(MapType::lpm_trie)));
    MapSpec integer = described(MapType::lpm_trie);
    integer.key = struct_info<u64>();
    CHECK_FALSE(map_btf(integer));
    MapSpec undescribed = described(MapType::lpm_trie);
    undescribed.key = {};
    CHECK_FALSE(map_btf(undescribed));
}
