#include "lb/asm/dsl.hpp"

namespace lb::bpf {

// Whether the register holds something else afterwards.
bool Dsl::put_argument(const Argument& argument, Reg to, u16 overwritten, Loc loc)
{
    if (const auto* number = std::get_if<i64>(&argument.value_)) {
        load_constant(to, *number, loc);
        return true;
    }
    if (const auto* map = std::get_if<const MapSpec*>(&argument.value_)) {
        load_map(to, **map, loc);
        return true;
    }
    const auto* pointer = std::get_if<Argument::Pointer>(&argument.value_);
    const Reg from = pointer ? pointer->base : std::get<Reg>(argument.value_);
    const i32 off = pointer ? pointer->off : 0;
    if (argument.given_back_) fail(detail::given_back("a variable", from, loc));
    if (overwritten >> from.index & 1)
        fail(Errc::argument_clobbered,
             "argument " + std::to_string(to.index) + " lives in r" + std::to_string(from.index) +
                 ", which an earlier argument has overwritten",
             loc);
    if (from != to) emit(mov64(to, from), loc);
    if (off != 0) emit(alu64(Alu::add, to, i64{off}), loc);
    return from != to || off != 0;
}

void Dsl::call_with(Helper helper, std::initializer_list<Argument> arguments, Loc loc)
{
    if (arguments.size() > arguments_max)
        return fail(Errc::out_of_registers,
                    "a call of " + std::string(helper_name(helper)) + " with " +
                        std::to_string(arguments.size()) + " arguments; " + std::to_string(arguments_max) +
                        " fit in r1-r5",
                    loc);
    u16 overwritten = 0;
    u8 next = 1;
    for (const Argument& argument : arguments) {
        const Reg to{next++};
        if (put_argument(argument, to, overwritten, loc))
            overwritten = static_cast<u16>(overwritten | 1u << to.index);
    }
    for (const Argument& argument : arguments) argument.hold_.release();
    Builder::call(helper, loc);
    for (const Argument& argument : arguments)
        if (argument.read_) reads_stack(*argument.read_);
}

Label Exits::to(u32 reason, std::string_view name, i32 verdict, Loc loc)
{
    for (const Way& way : ways_) {
        if (way.info.reason != reason) continue;
        if (way.info.name != name || way.info.verdict != verdict)
            b_.fail(Errc::redefined,
                    "reason " + std::to_string(reason) + " is '" + way.info.name + "' with verdict " +
                        std::to_string(way.info.verdict) + " already, not '" + std::string(name) +
                        "' with verdict " + std::to_string(verdict),
                    loc);
        return way.label;
    }
    ways_.push_back({.info = {.reason = reason, .name = std::string(name), .verdict = verdict},
                     .label = b_.label(std::string(name), loc),
                     .loc = loc});
    return ways_.back().label;
}

void Exits::leave(u32 reason, std::string_view name, i32 verdict, Loc loc)
{
    b_.emit(mov64(r0, i64{verdict}), loc);
    b_.exit(no_reason, loc);
    b_.record_exit({.reason = reason, .name = std::string(name), .verdict = verdict});
}

void Exits::emit_each(Reg reason, Reg verdict, Label end, Loc loc)
{
    for (std::size_t i = 0; i < ways_.size(); ++i) {
        const Way& way = ways_[i];
        b_.note("exit: " + way.info.name);
        b_.bind(way.label, way.loc);
        if (i == 0) b_.only_by_jumps();
        b_.emit(mov64(reason, i64{way.info.reason}), loc);
        b_.emit(mov64(verdict, i64{way.info.verdict}), loc);
        if (i + 1 < ways_.size()) b_.jump(end, loc);
        b_.record_exit(way.info);
    }
}

} // namespace lb::bpf
