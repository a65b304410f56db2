// `lb dump`: every format says the same, for any kernel, without privileges and without the interfaces.
#include "cli.hpp"

#include <boost/json.hpp>

#include <cstdio>
#include <sstream>

using namespace lb::cli_test;
using lb::lab::Argv;
namespace json = boost::json;

namespace {

// An instruction as eight bytes in hexadecimal.
using Code = std::vector<std::string>;

std::vector<std::string> lines_of(const std::string& text)
{
    std::vector<std::string> lines;
    std::istringstream in(text);
    for (std::string line; std::getline(in, line);) lines.push_back(line);
    return lines;
}

std::string dump(Argv flags)
{
    // No machine has this interface.
    Argv words{"dump", "-i", "lb-no-such-if", "-t", "127.0.0.1:8080"};
    words.insert(words.end(), flags.begin(), flags.end());
    const Said said = say(words);
    REQUIRE(said.status == ok);
    CHECK(said.err.empty());
    return said.out;
}

Code from_hex(const std::string& program)
{
    auto lines = lines_of(dump({"--format", "hex", "--program", program}));
    CHECK(lines.at(0) == "# lb_" + program + ": " + std::to_string(lines.size() - 1) + " instructions");
    return {lines.begin() + 1, lines.end()};
}

Code from_raw(const std::string& program)
{
    const std::string bytes = dump({"--format", "raw", "--program", program});
    REQUIRE(bytes.size() % 8 == 0);
    Code code;
    for (std::size_t i = 0; i < bytes.size(); ++i) {
        if (i % 8 == 0) code.emplace_back();
        char text[3];
        std::snprintf(text, sizeof text, "%02x", static_cast<unsigned char>(bytes[i]));
        code.back() += text;
    }
    return code;
}

Code from_c(const std::string& program)
{
    Code code;
    for (const auto& line : lines_of(dump({"--format", "c", "--program", program}))) {
        unsigned opcode = 0, dst = 0, src = 0;
        int off = 0, imm = 0;
        if (std::sscanf(line.c_str(),
                        " { .code = 0x%x, .dst_reg = %u, .src_reg = %u, .off = %d, .imm = %d },", &opcode,
                        &dst, &src, &off, &imm) != 5)
            continue;
        const unsigned low = static_cast<unsigned>(off), value = static_cast<unsigned>(imm);
        char text[17];
        std::snprintf(text, sizeof text, "%02x%02x%02x%02x%02x%02x%02x%02x", opcode, src << 4 | dst,
                      low & 0xff, low >> 8 & 0xff, value & 0xff, value >> 8 & 0xff, value >> 16 & 0xff,
                      value >> 24 & 0xff);
        code.emplace_back(text);
    }
    return code;
}

json::array programs_of(const std::string& text) { return json::parse(text).as_array(); }

Code from_json(const std::string& program)
{
    const json::array all = programs_of(dump({"--format", "json", "--program", program}));
    REQUIRE(all.size() == 1);
    CHECK(all[0].at("name").as_string() == "lb_" + program);
    Code code;
    for (const auto& insn : all[0].at("instructions").as_array()) code.emplace_back(insn.as_string());
    return code;
}

} // namespace

TEST_CASE("hex, raw, C and JSON have the same instructions", "[cli]")
{
    for (const std::string program : {"ingress", "egress"}) {
        const Code code = from_hex(program);
        CHECK(code.size() > 100);
        for (const auto& insn : code) CHECK(insn.size() == 16);
        CHECK(code.back() == "9500000000000000"); // exit
        CHECK(from_raw(program) == code);
        CHECK(from_c(program) == code);
        CHECK(from_json(program) == code);
    }
}

TEST_CASE("the text has one line for each instruction, at its slot", "[cli]")
{
    const std::string text = dump({"--program", "ingress"});
    const Code code = from_hex("ingress");
    std::size_t slot = 0;
    for (const auto& line : lines_of(text)) {
        unsigned number = 0, opcode = 0;
        if (std::sscanf(line.c_str(), " %u: (%x)", &number, &opcode) != 2) continue;
        REQUIRE(number == slot);
        CHECK(std::stoul(code.at(slot).substr(0, 2), nullptr, 16) == opcode);
        slot += opcode == 0x18 ? 2 : 1;
    }
    CHECK(slot == code.size());
    CHECK(text.starts_with("lb_ingress:\n"));
    CHECK(text.find("; parse Ethernet @ parse.cpp:") != std::string::npos);
}

TEST_CASE("both programs are printed, or the one that was asked for", "[cli]")
{
    const auto has = [](const std::string& text, const char* part) {
        return text.find(part) != std::string::npos;
    };
    for (const std::string format : {"text", "hex", "c", "json"}) {
        INFO(format);
        const std::string both = dump({"--format", format}),
                          one = dump({"--format", format, "--program", "egress"});
        CHECK(has(both, "lb_ingress"));
        CHECK(has(both, "lb_egress"));
        CHECK_FALSE(has(one, "lb_ingress"));
        CHECK(has(one, "lb_egress"));
    }
    check_refused(say({"dump", "-i", "eth0", "--format", "raw"}), usage,
                  "--format raw writes one program: say --program ingress, egress, inside or siit");
}

TEST_CASE("JSON names what the loader fills in, and where each instruction comes from", "[cli]")
{
    const json::array programs = programs_of(dump({"--format", "json"}));
    REQUIRE(programs.size() == 2);
    CHECK(programs[0].at("type").as_string() == "xdp");
    CHECK(programs[1].at("type").as_string() == "sched_cls");
    for (const auto& program : programs) {
        const auto& code = program.at("instructions").as_array();
        std::vector<std::string> maps;
        for (const auto& map : program.at("maps").as_array()) maps.emplace_back(map.at("name").as_string());
        CHECK(maps.size() >= 3);
        for (const auto& reloc : program.at("relocations").as_array()) {
            CHECK(reloc.at("kind").as_string() == "map-fd"); // one interface: none is compared
            CHECK(
                code.at(static_cast<std::size_t>(reloc.at("slot").as_int64())).as_string().starts_with("18"));
            CHECK(std::ranges::find(maps, std::string(reloc.at("symbol").as_string())) != maps.end());
        }
        CHECK(program.at("lines").as_array().at(0).at("slot").as_int64() == 0);
        CHECK(program.at("exits").as_array().size() > 5);
    }
}

TEST_CASE("a program is made for the kernel that was asked for, 6.18 by default", "[cli]")
{
    CHECK(dump({"--kernel", "6.18"}) == dump({}));
    CHECK(dump({"--kernel", "6.18.3-1-amd64"}) == dump({}));
    // Packets in several buffers came with Linux 5.18, and with them the question for their length.
    CHECK(dump({"--kernel", "6.1"}).find("bpf_xdp_get_buff_len") != std::string::npos);
    CHECK(dump({"--kernel", "5.15"}).find("bpf_xdp_get_buff_len") == std::string::npos);
    check_refused(say({"dump", "-i", "eth0", "--kernel", "5.14"}), usage,
                  "kernel 5.14 is too old: lb needs 5.15 or later");
    check_refused(say({"dump", "-i", "eth0", "--kernel", "six"}), usage,
                  "kernel version 'six' is not of the form 6.1");
}

TEST_CASE("one configuration is dumped the same each time", "[cli]")
{
    for (const std::string format : {"text", "json"})
        CHECK(dump({"--format", format}) == dump({"--format", format}));
}

TEST_CASE("output that cannot be written is a failure, not silence", "[cli]")
{
    const std::string full = "/dev/full";
    for (const Argv& words :
         {Argv{"dump", "-i", "eth0"}, Argv{"check", "-i", "eth0"}, Argv{"--help"}, Argv{"version"},
          Argv{"dump", "-i", "eth0", "--format", "raw", "--program", "egress"},
          Argv{"dump", "-i", "eth0", "--format", "json"}})
        check_refused(say(words, {.out = full}), failure,
                      "writing to standard output: No space left on device");
}
