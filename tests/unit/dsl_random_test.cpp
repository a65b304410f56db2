// Statements at random, right and wrong ones: they end in an error with a line of this file or in a whole
// program, and always in the same one. A failure prints its seed; LB_TEST_SEED=N runs that one again:
//
//     LB_TEST_SEED=N build/tests/unit/dsl_test '[random]'
#include <cstdlib>
#include <random>

#include "dsl_misuse.hpp"
#include "dsl_shape.hpp"
#include "lb/base/wire.hpp"

using namespace lb;
using namespace lb::bpf;
using namespace lb::test;

namespace {

class Source {
public:
    explicit Source(u32 seed) : engine_(seed) {}
    u32 below(u32 end) { return static_cast<u32>(engine_() % end); }
    bool one_in(u32 n) { return below(n) == 0; }
    /// Small, large, negative and at the edges.
    i64 number()
    {
        static constexpr i64 edges[] = {0,          1,          -1,          0xff,     0x7fffffff,
                                        0x80000000, 0xffffffff, 0x100000000, INT64_MIN};
        return one_in(3) ? edges[below(std::size(edges))] : static_cast<i64>(below(100000));
    }

private:
    std::mt19937 engine_;
};

/// Single instructions and jumps on any register: most of these are wrong somewhere.
std::expected<Program, Error> random_instructions(u32 seed)
{
    Source random(seed);
    const auto reg = [&] { return Reg{static_cast<u8>(random.below(10))}; };
    const auto slot = [&](int width) {
        return static_cast<i16>(-width * (1 + static_cast<int>(random.below(8))));
    };
    Dsl b("random", ProgramType::xdp, AttachType::xdp, {.gotol = random.one_in(2)});
    b.release_context();
    for (u8 i = 0; i < 10; ++i)
        if (!random.one_in(8)) b.emit(mov64(Reg{i}, i64{i}));
    std::vector<Label> labels;
    for (int i = 0; i < 5; ++i) labels.push_back(b.label("l" + std::to_string(i)));
    std::vector<bool> bound(labels.size());
    for (u32 left = 5 + random.below(60); left-- > 0;) {
        const u32 which = random.below(static_cast<u32>(labels.size()));
        switch (random.below(9)) {
        case 0:
            b.emit(mov64(reg(), i64{random.below(100000)}));
            break;
        case 1:
            b.emit(alu64(Alu::add, reg(), reg()));
            break;
        case 2:
            b.jump_if({.op = Jmp::lt, .left = reg(), .right = random.number()}, labels[which]);
            break;
        case 3:
            b.jump(labels[which]);
            break;
        case 4:
            if (!bound[which]) b.bind(labels[which]);
            bound[which] = true;
            break;
        case 5:
            b.emit(store(Width::w32, fp, slot(4), reg()));
            break;
        case 6:
            b.emit(load(Width::w16, reg(), fp, slot(2)));
            break;
        case 7:
            b.emit(ld_imm64(reg(), static_cast<u64>(random.number())));
            break;
        case 8:
            b.if_({.op = Jmp::ne, .left = reg(), .right = reg()}, [&] { b.emit(mov64(reg(), reg())); });
            break;
        }
    }
    for (std::size_t i = 0; i < labels.size(); ++i)
        if (!bound[i] && !random.one_in(10)) b.bind(labels[i]);
    end(b);
    return b.finish();
}

const Map<u32, Value> rows("rows", MapType::array, 8);
const Map<Key, Value> flows("flows", MapType::hash, 8);

/// Typed statements, nested: most of these are right.
class Writer {
public:
    explicit Writer(u32 seed) : random_(seed), b_("random", ProgramType::xdp, AttachType::xdp) {}

    std::expected<Program, Error> write()
    {
        {
            XdpPacket packet(b_);
            packet_ = &packet;
            if (!random_.one_in(20)) value_.fill(0);
            if (!random_.one_in(20)) key_.fill(0);
            if (!random_.one_in(20)) index_() = 1;
            block(3);
            b_.jump(way());
        }
        exits_.emit([&](Var<u32>& reason) {
            index_() = reason;
            const Label none = b_.label("none");
            b_.lookup_brief(rows, index_, none)(&Value::count).add(1);
            b_.bind(none);
        });
        return b_.finish();
    }

private:
    Label way()
    {
        const u32 reason = random_.below(4);
        return exits_.to(reason, "way " + std::to_string(reason), static_cast<i32>(reason));
    }

    Cond condition(const Var<u64>& x)
    {
        switch (random_.below(8)) {
        case 0:
            return x == random_.number();
        case 1:
            return x > value_(&Value::number);
        case 2:
            return x.has(static_cast<u64>(random_.number()));
        case 3:
            return value_(&Value::port) != be16{80};
        case 4:
            return value_(&Value::flags).has(1);
        case 5:
            return value_(&Value::count) == x;
        case 6:
            return x <= value_(&Value::count);
        default:
            return value_(&Value::balance) == -5;
        }
    }

    void change(Var<u64>& x)
    {
        switch (random_.below(8)) {
        case 0:
            x = random_.number();
            break;
        case 1:
            x += random_.number();
            break;
        case 2:
            x ^= value_(&Value::count);
            break;
        case 3:
            x *= value_(&Value::flags);
            break;
        case 4:
            x <<= random_.below(random_.one_in(10) ? 80 : 64);
            break;
        case 5:
            value_(&Value::count) = x;
            break;
        case 6:
            value_(&Value::count).atomic_add(x);
            break;
        case 7:
            x &= b_.let<u64>("mask", random_.number()).value();
            break;
        }
    }

    void nested(u32 depth, const Var<u64>& x)
    {
        if (random_.one_in(3)) return b_.repeat(random_.below(4), [&] { block(depth - 1); });
        const auto branch = b_.if_(condition(x), [&] { block(depth - 1); });
        if (random_.one_in(2)) Builder::Else(branch).else_([&] { block(depth - 1); });
    }

    void maps()
    {
        const Label none = b_.label("none");
        switch (random_.below(4)) {
        case 0:
            b_.lookup(rows, index_, none)(&Value::count).atomic_add(1);
            break;
        case 1:
            value_(&Value::number) = b_.lookup_brief(flows, key_, none)(&Value::number);
            break;
        case 2:
            b_.jump_if(b_.update(flows, key_, value_, UpdateFlag::any) != 0, way());
            break;
        case 3:
            b_.remove(flows, key_);
            break;
        }
        b_.bind(none);
    }

    void headers()
    {
        const auto [ethernet, ip] = packet_->claim<wire::Ethernet, wire::Ipv4>(way());
        key_(&Key::address) = ip(&wire::Ipv4::saddr);
        value_(&Value::port) = ethernet(&wire::Ethernet::type);
        auto length = b_.let_host("length", ip(&wire::Ipv4::total_length));
        value_(&Value::port) = b_.to_network16(std::move(length));
    }

    void block(u32 depth)
    {
        b_.note("block " + std::to_string(depth));
        for (u32 left = 1 + random_.below(4); left-- > 0;) {
            switch (random_.below(5)) {
            case 0:
                maps();
                break;
            case 1:
                headers();
                break;
            case 2:
                b_.jump_if(condition(b_.let<u64>("x", random_.number())), way());
                break;
            default: {
                auto x = random_.one_in(2) ? b_.let<u64>("x", random_.number())
                                           : b_.keep<u64>("x", value_(&Value::count));
                for (u32 times = random_.below(4); times-- > 0;) change(x);
                if (depth > 0 && (random_.one_in(4) || x.reg().index >= 6)) nested(depth, x);
            }
            }
        }
    }

    Source random_;
    Dsl b_;
    Exits exits_{b_};
    StackView<Value> value_ = b_.stack<Value>("value");
    StackView<Key> key_ = b_.stack<Key>("key");
    StackVar<u32> index_ = b_.local<u32>("index");
    XdpPacket* packet_ = nullptr;
};

struct Outcome {
    u32 accepted = 0, refused = 0;
};

// The error's line is one of this file: the statement's own, never one of the assembler's.
void check_error(const Error& error)
{
    CHECK(base_name(error.where.file_name()) == "dsl_random_test.cpp");
    CHECK(error.where.line() > 0);
    CHECK_FALSE(error.message.empty());
}

template <class Make> Outcome try_seeds(u32 count, const Make& make)
{
    Outcome outcome;
    u32 first = std::random_device{}();
    if (const char* seed = std::getenv("LB_TEST_SEED")) {
        first = static_cast<u32>(std::strtoul(seed, nullptr, 10));
        count = 1;
    }
    for (u32 i = 0; i < count; ++i) {
        const u32 seed = first + i;
        INFO("LB_TEST_SEED=" << seed);
        const auto once = make(seed), again = make(seed);
        REQUIRE(once.has_value() == again.has_value());
        if (!once) {
            check_error(once.error());
            CHECK(to_string(once.error()) == to_string(again.error()));
            ++outcome.refused;
            continue;
        }
        check_shape(*once);
        CHECK(whole_text(*once) == whole_text(*again));
        ++outcome.accepted;
    }
    return outcome;
}

// Otherwise nothing was shown; one seed alone may end either way.
void check_both(const Outcome& outcome)
{
    if (std::getenv("LB_TEST_SEED")) return;
    INFO(outcome.accepted << " accepted, " << outcome.refused << " refused");
    CHECK(outcome.accepted > (outcome.accepted + outcome.refused) / 50);
    CHECK(outcome.refused > (outcome.accepted + outcome.refused) / 50);
}

} // namespace

TEST_CASE("instructions at random end in an error or in a whole program", "[dsl][random]")
{
    check_both(try_seeds(2000, random_instructions));
}

TEST_CASE("typed statements at random end in an error or in a whole program", "[dsl][random]")
{
    check_both(try_seeds(400, [](u32 seed) { return Writer(seed).write(); }));
}
