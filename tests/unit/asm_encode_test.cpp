// The table, the encoder and the decoder: what they take comes back unchanged, what they must not take is
// refused.
#include <catch2/catch.hpp>

#include <algorithm>
#include <cstring>
#include <limits>
#include <random>
#include <set>

#include "lb/asm/disasm.hpp"
#include "lb/asm/encode.hpp"
#include "lb/asm/opcodes.hpp"

#include "../asm_cases.hpp"

using namespace lb;
using namespace lb::bpf;

namespace {

std::vector<RawInsn> encoded(const Insn& insn)
{
    std::vector<RawInsn> code;
    const auto result = encode(insn, code);
    INFO((result ? "" : result.error().message));
    REQUIRE(result);
    return code;
}

std::string hex_bytes(const std::vector<RawInsn>& code)
{
    std::string text;
    for (const RawInsn& raw : code) {
        unsigned char bytes[sizeof raw];
        std::memcpy(bytes, &raw, sizeof raw);
        for (const unsigned char byte : bytes) {
            char digits[4];
            std::snprintf(digits, sizeof digits, "%02x", byte);
            text += (text.empty() ? "" : " ") + std::string(digits);
        }
    }
    return text;
}

std::string refusal(const Insn& insn)
{
    std::vector<RawInsn> code{RawInsn{.opcode = opcode_exit}};
    const auto result = encode(insn, code);
    REQUIRE(code.size() == 1); // nothing is left behind by an instruction that was refused
    REQUIRE_FALSE(result);
    return result.error().message;
}

Insn with(Insn insn, InsnField field, i64 value)
{
    switch (field) {
    case InsnField::dst:
        insn.dst.index = static_cast<u8>(value);
        break;
    case InsnField::src:
        insn.src.index = static_cast<u8>(value);
        break;
    case InsnField::off:
        insn.off = static_cast<i16>(value);
        break;
    case InsnField::imm:
        insn.imm = value;
        break;
    }
    return insn;
}

/// Whether the type of the field in Insn can hold the value at all.
bool holds(InsnField field, i64 value)
{
    if (field == InsnField::imm) return true;
    if (field == InsnField::off) return value >= -32768 && value <= 32767;
    return value >= 0 && value <= 255;
}

/// Values just outside what the rule allows, each with the end of the message that refuses it.
std::vector<std::pair<i64, std::string>> outside(const Rule& rule)
{
    switch (rule.kind) {
    case Rule::Kind::is:
        return {};
    case Rule::Kind::zero:
        return {{1, "1, allowed is 0"}, {-1, "-1, allowed is 0"}};
    case Rule::Kind::reg:
        return {{11, "r11, allowed is r0..r10"}, {255, "r255, allowed is r0..r10"}};
    case Rule::Kind::writable:
        return {{10, "r10, allowed is r0..r9"}, {16, "r16, allowed is r0..r9"}};
    case Rule::Kind::nonzero:
        return {{0, "0, allowed is -2147483648..2147483647 but not 0"},
                {2147483648, "2147483648, allowed is -2147483648..2147483647 but not 0"},
                {-2147483649, "-2147483649, allowed is -2147483648..2147483647 but not 0"}};
    case Rule::Kind::one_of:
        if (rule.values[0] == 16) {
            return {{0, "0, allowed is 16, 32, 64"},
                    {8, "8, allowed is 16, 32, 64"},
                    {-1, "-1, allowed is 16, 32, 64"}};
        }
        return {{0, "0, allowed is 1, 65536"}, {2, "2, allowed is 1, 65536"}};
    case Rule::Kind::range:
        break;
    }
    std::vector<std::pair<i64, std::string>> values;
    const auto [low, high, unused] = rule.values;
    const std::string tail = ", allowed is " + std::to_string(low) + ".." + std::to_string(high);
    if (low != std::numeric_limits<i64>::min()) values.emplace_back(low - 1, std::to_string(low - 1) + tail);
    if (high != std::numeric_limits<i64>::max())
        values.emplace_back(high + 1, std::to_string(high + 1) + tail);
    return values;
}

struct BytesCase {
    Insn insn = {};
    const char* bytes = "";
};

} // namespace

TEST_CASE("every row of the table has a case, and every case has a row", "[asm]")
{
    std::set<const Form*> covered;
    for (const auto& [insn, text] : cases::text_cases) {
        INFO(text);
        const Form* form = find_form(insn);
        REQUIRE(form);
        covered.insert(form);
    }
    for (const Form& form : forms()) {
        INFO(form.text);
        CHECK(covered.contains(&form));
    }
    CHECK(forms().size() == 175);
}

TEST_CASE("every instruction comes back from its slots unchanged", "[asm]")
{
    for (const auto& [insn, text] : cases::text_cases) {
        INFO(text);
        const auto code = encoded(insn);
        CHECK(code.size() == slots(insn));
        const auto back = decode(code);
        REQUIRE(back);
        REQUIRE(back->size() == 1);
        CHECK(back->front() == insn);
        CHECK(encoded(back->front()) == code);
    }
}

TEST_CASE("the ends of every range are taken", "[asm]")
{
    for (const auto& [insn, text] : cases::text_cases) {
        const Form& form = *find_form(insn);
        for (const InsnField field : all_fields) {
            const Rule& rule = form.rule(field);
            std::vector<i64> ends;
            if (rule.kind == Rule::Kind::range) ends = {rule.values[0], rule.values[1]};
            if (rule.kind == Rule::Kind::reg) ends = {0, 10};
            if (rule.kind == Rule::Kind::writable) ends = {0, 9};
            if (rule.kind == Rule::Kind::nonzero) ends = {-2147483648, -1, 1, 2147483647};
            for (const i64 value : ends) {
                INFO(text << ", " << field_name(field) << " " << value);
                const Insn changed = with(insn, field, value);
                const auto back = decode(encoded(changed));
                REQUIRE(back);
                CHECK(back->front() == changed);
            }
        }
    }
}

TEST_CASE("every field of every form out of its range is refused by name, value and range", "[asm]")
{
    for (const auto& [insn, text] : cases::text_cases) {
        const Form& form = *find_form(insn);
        for (const InsnField field : all_fields) {
            for (const auto& [value, tail] : outside(form.rule(field))) {
                if (!holds(field, value)) continue;
                const Insn changed = with(insn, field, value);
                INFO(text << ", " << field_name(field) << " " << value);
                CHECK(refusal(changed) == disassemble(changed) + ": " + field_name(field) + " is " + tail);
                CHECK(check(changed).error().code == InsnErrc::field_out_of_range);
                CHECK(check(changed).error().field == field);
            }
        }
    }
}

TEST_CASE("a selecting field with a value that selects nothing is refused", "[asm]")
{
    for (const auto& [insn, text] : cases::text_cases) {
        const Form& form = *find_form(insn);
        for (const InsnField field : all_fields) {
            if (!form.rule(field).selects()) continue;
            const Insn changed = with(insn, field, 77);
            INFO(text << ", " << field_name(field));
            CHECK_FALSE(check(changed));
            CHECK(check(changed).error().code == InsnErrc::unknown_form);
            CHECK(check(changed).error().field == field);
        }
    }
    CHECK(refusal(movsx64(r1, r2, 24)) == "opcode 0xbf: off is 24, allowed is 0, 8, 16, 32, 1, -1");
    CHECK(refusal(movsx32(r1, r2, 32)) == "opcode 0xbc: off is 32, allowed is 0, 8, 16");
    CHECK(refusal(sdiv64(Alu::div, r1, r2).off == 1 ? with(sdiv64(Alu::div, r1, r2), InsnField::off, 2)
                                                    : Insn{}) == "opcode 0x3f: off is 2, allowed is 0, 1");
    CHECK(refusal(with(exit(), InsnField::imm, 1)) == "exit: imm is 1, allowed is 0");
    CHECK(refusal(with(call_helper(1), InsnField::src, 3)) == "opcode 0x85: src is 3, allowed is 0, 1, 2");
    CHECK(refusal(with(ld_imm64(r1, 1), InsnField::src, 7)) ==
          "opcode 0x18: src is 7, allowed is 0, 1, 2, 3, 4, 5, 6");
}

TEST_CASE("refusals say what was asked for and what is allowed", "[asm]")
{
    CHECK(refusal(alu64(Alu::add, r3, 70'000'000'000)) ==
          "r3 += 70000000000: imm is 70000000000, allowed is -2147483648..2147483647");
    CHECK(refusal(mov64(fp, r1)) == "r10 = r1: dst is r10, allowed is r0..r9");
    CHECK(refusal(mov64(r1, Reg{12})) == "r1 = r12: src is r12, allowed is r0..r10");
    CHECK(refusal(alu64(Alu::div, r1, 0)) ==
          "r1 /= 0: imm is 0, allowed is -2147483648..2147483647 but not 0");
    CHECK(refusal(alu32(Alu::lsh, r1, 32)) == "w1 <<= 32: imm is 32, allowed is 0..31");
    CHECK(refusal(alu64(Alu::lsh, r1, 64)) == "r1 <<= 64: imm is 64, allowed is 0..63");
    CHECK(refusal(to_be(r1, 24)) == "r1 = be24 r1: imm is 24, allowed is 16, 32, 64");
    CHECK(refusal(call_helper(0)) == "call unknown#0: imm is 0, allowed is 1..211");
    CHECK(refusal(call_helper(212)) == "call unknown#212: imm is 212, allowed is 1..211");
    CHECK(refusal(load(Width::w64, fp, r1, 0)) == "r10 = *(u64 *)(r1 +0): dst is r10, allowed is r0..r9");
    CHECK(refusal(atomic(Atomic::fetch_add, Width::w64, r1, 0, fp)) ==
          "r10 = atomic64_fetch_add((u64 *)(r1 +0), r10): src is r10, allowed is r0..r9");
    CHECK(refusal(load_signed(Width::w64, r1, r2, 0)) == "no instruction has opcode 0x99");
    CHECK(refusal(atomic(Atomic::add, Width::w16, r1, 0, r2)) ==
          "opcode 0xcb: imm is 0, allowed is 256, 272");
}

TEST_CASE("slots are the bytes of RFC 9669", "[asm]")
{
    const BytesCase bytes_cases[] = {
        {mov64(r1, 5), "b7 01 00 00 05 00 00 00"},
        {mov64(r6, r1), "bf 16 00 00 00 00 00 00"},
        {alu32(Alu::sub, r2, -1), "14 02 00 00 ff ff ff ff"},
        {movsx64(r1, r2, 32), "bf 21 20 00 00 00 00 00"},
        {sdiv32(Alu::mod, r3, r4), "9c 43 01 00 00 00 00 00"},
        {to_le(r1, 32), "d4 01 00 00 20 00 00 00"},
        {to_be(r1, 16), "dc 01 00 00 10 00 00 00"},
        {bswap(r1, 64), "d7 01 00 00 40 00 00 00"},
        {load(Width::w16, r0, r6, 12), "69 60 0c 00 00 00 00 00"},
        {load_signed(Width::w8, r1, fp, -1), "91 a1 ff ff 00 00 00 00"},
        {store(Width::w32, fp, -8, 1), "62 0a f8 ff 01 00 00 00"},
        {store(Width::w64, fp, -16, r9), "7b 9a f0 ff 00 00 00 00"},
        {atomic(Atomic::add, Width::w64, r1, 8, r2), "db 21 08 00 00 00 00 00"},
        {atomic(Atomic::fetch_xor, Width::w32, r1, 8, r2), "c3 21 08 00 a1 00 00 00"},
        {atomic(Atomic::cmpxchg, Width::w64, r1, 8, r2), "db 21 08 00 f1 00 00 00"},
        {load_acquire(Width::w8, r1, r2, 0), "d3 21 00 00 00 01 00 00"},
        {store_release(Width::w16, r1, 0, r2), "cb 21 00 00 10 01 00 00"},
        {ld_imm64(r2, 0x1122334455667788), "18 02 00 00 88 77 66 55 00 00 00 00 44 33 22 11"},
        {ld_imm64(r2, 7, Pseudo::map_fd), "18 12 00 00 07 00 00 00 00 00 00 00 00 00 00 00"},
        {ld_imm64(r2, static_cast<u64>(-3), Pseudo::func), "18 42 00 00 fd ff ff ff 00 00 00 00 00 00 00 00"},
        {jump(Jmp::sgt, r1, r2, -2), "6d 21 fe ff 00 00 00 00"},
        {jump32(Jmp::ne, r0, 8, 95), "56 00 5f 00 08 00 00 00"},
        {go(-1), "05 00 ff ff 00 00 00 00"},
        {go_long(-100'000), "06 00 00 00 60 79 fe ff"},
        {may_goto(3), "e5 00 03 00 00 00 00 00"},
        {call_helper(1), "85 00 00 00 01 00 00 00"},
        {call_local(-5), "85 10 00 00 fb ff ff ff"},
        {call_kfunc(0x1234, 1), "85 20 01 00 34 12 00 00"},
        {load_abs(Width::w16, 12), "28 00 00 00 0c 00 00 00"},
        {load_ind(Width::w8, r3, 12), "50 30 00 00 0c 00 00 00"},
        {exit(), "95 00 00 00 00 00 00 00"},
    };
    for (const auto& [insn, bytes] : bytes_cases) CHECK(hex_bytes(encoded(insn)) == bytes);
}

TEST_CASE("an ld_imm64 without its second slot is refused", "[asm]")
{
    const RawInsn first{.opcode = opcode_ld_imm64, .registers = 1, .imm = 5};
    const auto cut = decode(std::vector{RawInsn{.opcode = opcode_exit}, first});
    REQUIRE_FALSE(cut);
    CHECK(cut.error().code == InsnErrc::truncated);
    CHECK(cut.error().message == "slot 1: opcode 0x18 takes two slots, the second is missing");

    const auto reserved = decode(std::vector{first, RawInsn{.opcode = opcode_exit}});
    REQUIRE_FALSE(reserved);
    CHECK(reserved.error().message ==
          "slot 0: the second slot of opcode 0x18 holds more than an immediate: opcode, "
          "dst, src and off must be 0");

    const RawInsn function{.opcode = opcode_ld_imm64, .registers = 0x41, .imm = 5};
    const auto far = decode(std::vector{function, RawInsn{.imm = 1}});
    REQUIRE_FALSE(far);
    CHECK(far.error().message == "slot 0: the second slot of opcode 0x18 with src 4: imm is 1, allowed is 0");

    const RawInsn map{.opcode = opcode_ld_imm64, .registers = 0x11, .imm = 5};
    CHECK(decode(std::vector{map, RawInsn{.imm = 1}}).error().message ==
          "slot 0: r1 = map[fd:5]: imm is 4294967301, allowed is 0..2147483647");
}

TEST_CASE("an opcode that is in no row is refused", "[asm]")
{
    std::set<u8> known;
    for (const Form& form : forms()) known.insert(form.opcode);
    CHECK(known.size() == 128);
    for (unsigned opcode = 0; opcode < 256; ++opcode) {
        if (known.contains(static_cast<u8>(opcode))) continue;
        const auto result = decode(std::vector{RawInsn{.opcode = static_cast<u8>(opcode)}});
        REQUIRE_FALSE(result);
        CHECK(result.error().code == InsnErrc::unknown_opcode);
    }
    CHECK(decode(std::vector{RawInsn{.opcode = 0x8d}}).error().message ==
          "slot 0: no instruction has opcode 0x8d");
}

TEST_CASE("bytes that decode encode to the same bytes", "[asm]")
{
    constexpr u32 seed = 20'250'101;
    std::mt19937 random(seed);
    std::size_t decoded = 0;
    for (int round = 0; round < 200'000; ++round) {
        const Form& form = forms()[random() % forms().size()];
        const i32 imms[] = {0, 1, 16, 0x41, 0xf1, 0x100, -1, static_cast<i32>(random())};
        const i16 offs[] = {0, 1, 8, 32, -1, static_cast<i16>(random())};
        const std::vector code{RawInsn{.opcode = form.opcode,
                                       .registers = static_cast<u8>(random()),
                                       .off = offs[random() % 6],
                                       .imm = imms[random() % 8]},
                               RawInsn{.opcode = opcode_exit}};
        const auto insns = decode(code);
        if (!insns) continue;
        ++decoded;
        std::vector<RawInsn> again;
        for (const Insn& insn : *insns) REQUIRE(encode(insn, again));
        INFO("seed " << seed << ", round " << round);
        REQUIRE(again == code);
    }
    CHECK(decoded > 10'000);
}
