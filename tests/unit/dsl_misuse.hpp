// Misuse of the DSL against the error that it must become: code, message, and the line of the test that did
// it.
#pragma once

#include "dsl_text.hpp"

namespace lb::test {

/// Misuses the DSL; `line` is set on the line that is wrong.
using Misuse = std::function<void(bpf::Dsl&, u32& line)>;

inline void end(bpf::Dsl& b)
{
    b.emit(bpf::mov64(bpf::r0, i64{0}));
    b.exit(bpf::no_reason);
}

/// `body` is a whole program. `here` tells in which file.
inline void check_whole(bpf::Errc code, const std::string& message, const Misuse& body,
                        bpf::Loc here = bpf::Loc::current())
{
    bpf::Dsl b("t", bpf::ProgramType::xdp, bpf::AttachType::xdp);
    u32 line = 0;
    body(b, line);
    const auto program = b.finish();
    INFO("line " << here.line() << ", expected: " << message);
    REQUIRE_FALSE(program.has_value());
    CHECK(program.error().code == code);
    CHECK(to_string(program.error()) ==
          bpf::base_name(here.file_name()) + ":" + std::to_string(line) + ": " + message);
}

/// `body` is ended here, with a second error put behind the first, which must be the one that is kept.
inline void check(bpf::Errc code, const std::string& message, const Misuse& body,
                  bpf::Loc here = bpf::Loc::current())
{
    check_whole(
        code, message,
        [&](bpf::Dsl& b, u32& line) {
            body(b, line);
            b.reserve_stack(100000, "later");
            end(b);
        },
        here);
}

/// A condition on what the program is given, for where any condition will do.
inline const bpf::Cond is_zero{.op = bpf::Jmp::eq, .left = bpf::r1, .right = i64{0}};

} // namespace lb::test
