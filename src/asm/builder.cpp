#include "lb/asm/builder.hpp"

#include "asm/checker.hpp"
#include "asm/linker.hpp"
#include "lb/asm/opcodes.hpp"

namespace lb::bpf {

std::string base_name(const char* path)
{
    const std::string_view view(path);
    return std::string(view.substr(view.find_last_of('/') + 1));
}

std::string to_string(const Error& error)
{
    return base_name(error.where.file_name()) + ":" + std::to_string(error.where.line()) + ": " +
           error.message;
}

Hold& Hold::operator=(Hold&& other) noexcept
{
    if (this == &other) return *this;
    release();
    builder_ = std::exchange(other.builder_, nullptr);
    reg_ = other.reg_;
    return *this;
}

void Hold::release()
{
    if (builder_) std::exchange(builder_, nullptr)->give_back(reg_);
}

Builder::Builder(std::string name, ProgramType type, AttachType attach, Isa isa, Loc loc)
    : name_(std::move(name)),
      type_(type),
      attach_(attach),
      isa_(isa)
{
    functions_.push_back({.name = name_, .arguments = 1, .at = 0, .where = loc});
    busy_ = given_ = 1u << r1.index; // the context, until something takes it over
    holder_[r1.index] = "context";
}

void Builder::note(std::string text) { notes_.push_back(std::move(text)); }

void Builder::fail(Error error)
{
    if (!error_) error_ = std::move(error);
}

i16 Builder::off16(i64 off, Loc loc)
{
    const auto fitting = narrow<i16>(off);
    if (!fitting) fail(Errc::offset_out_of_range, "offset " + std::to_string(off) + " needs 16 bits", loc);
    return fitting.value_or(0);
}

// A builder's labels and functions are numbers: another's may be beyond them.
bool Builder::known(Label label, Loc loc)
{
    if (label.id < labels_.size()) return true;
    fail(Errc::unbound_label, "the label is not of this program", loc);
    return false;
}

bool Builder::known(Subprogram function, Loc loc)
{
    if (function.id < functions_.size()) return true;
    fail(Errc::unbound_function, "the function is not of this program", loc);
    return false;
}

// ---- control flow ----

Label Builder::label(std::string name, Loc loc)
{
    labels_.push_back({.name = std::move(name), .at = {}, .where = loc});
    return Label{static_cast<u32>(labels_.size() - 1)};
}

void Builder::bind(Label label, Loc loc)
{
    if (!known(label, loc)) return;
    LabelDef& definition = labels_[label.id];
    if (definition.at)
        return fail(Errc::rebound_label, "label '" + definition.name + "' is bound twice", loc);
    definition.at = static_cast<u32>(nodes_.size());
}

Label Builder::begin_else(Label otherwise, Loc loc)
{
    const Label end = label("end_if", loc);
    jump(end, loc);
    labels_[otherwise.id].at = static_cast<u32>(nodes_.size()); // if_ bound it before the goto
    return end;
}

void Builder::jump(Label label, Loc loc) { emit_jump(go(), label, loc); }

void Builder::jump_if(const Cond& cond, Label label, Loc loc)
{
    Hold left_scratch, right_scratch;
    Reg left = r0;
    if (const auto* place = std::get_if<Place>(&cond.left)) {
        left_scratch = take(Pool::scratch, "condition", loc);
        left = left_scratch.reg();
        emit(load(place->width, left, place->base, off16(place->off, loc)), loc);
    } else
        left = std::get<Reg>(cond.left);

    if (const auto* right = std::get_if<Reg>(&cond.right))
        return emit_jump(cond.w32 ? jump32(cond.op, left, *right) : bpf::jump(cond.op, left, *right), label,
                         loc);
    const i64 number = std::get<i64>(cond.right);
    const i64 low = static_cast<i32>(static_cast<u32>(static_cast<u64>(number)));
    if (cond.w32 && number >= INT32_MIN && number <= i64{UINT32_MAX})
        return emit_jump(jump32(cond.op, left, low), label, loc);
    if (!cond.w32 && number == low) return emit_jump(bpf::jump(cond.op, left, low), label, loc);
    if (cond.w32)
        return fail(Errc::immediate_out_of_range, "immediate " + std::to_string(number) + " needs 32 bits",
                    loc);
    right_scratch = take(Pool::scratch, "constant", loc);
    load_constant(right_scratch.reg(), number, loc);
    emit_jump(bpf::jump(cond.op, left, right_scratch.reg()), label, loc);
}

void Builder::jump_unless(const Cond& cond, Label label, Loc loc)
{
    static constexpr std::array<std::pair<Jmp, Jmp>, 10> inverse{{{Jmp::eq, Jmp::ne},
                                                                  {Jmp::ne, Jmp::eq},
                                                                  {Jmp::gt, Jmp::le},
                                                                  {Jmp::le, Jmp::gt},
                                                                  {Jmp::ge, Jmp::lt},
                                                                  {Jmp::lt, Jmp::ge},
                                                                  {Jmp::sgt, Jmp::sle},
                                                                  {Jmp::sle, Jmp::sgt},
                                                                  {Jmp::sge, Jmp::slt},
                                                                  {Jmp::slt, Jmp::sge}}};
    for (const auto& [op, opposite] : inverse) {
        if (op != cond.op) continue;
        Cond turned = cond;
        turned.op = opposite;
        return jump_if(turned, label, loc);
    }
    const Label skip = this->label("skip", loc); // `set` has no opposite
    jump_if(cond, skip, loc);
    jump(label, loc);
    bind(skip, loc);
}

// ---- functions ----

Subprogram Builder::subprogram(std::string name, u32 arguments, Loc loc)
{
    if (arguments > arguments_max) {
        fail(Errc::out_of_registers,
             "function '" + name + "' has " + std::to_string(arguments) + " arguments; " +
                 std::to_string(arguments_max) + " fit in r1-r5",
             loc);
        arguments = arguments_max;
    }
    functions_.push_back({.name = std::move(name), .arguments = arguments, .at = {}, .where = loc});
    return Subprogram{static_cast<u32>(functions_.size() - 1)};
}

void Builder::begin(Subprogram function, Loc loc)
{
    if (!known(function, loc)) return;
    check_bodies();
    for (u8 i = 0; i < 10; ++i)
        if ((busy_ & ~given_) >> i & 1)
            fail(Errc::live_across_call, "'" + holder_[i] + "' is held while another function begins", loc);
    FunctionDef& definition = functions_[function.id];
    if (definition.at) return fail(Errc::redefined, "function '" + definition.name + "' has two bodies", loc);
    definition.at = static_cast<u32>(nodes_.size());
    definition.where = loc;
    busy_ = given_ = static_cast<u16>(((1u << definition.arguments) - 1) << 1);
    for (u8 i = 1; i <= definition.arguments; ++i) holder_[i] = "argument";
    stack_used_ = 0;
}

// A function without a statement would be the one that follows it.
void Builder::check_bodies()
{
    for (const auto& function : functions_)
        if (function.at == nodes_.size())
            fail(Errc::unbound_function, "function '" + function.name + "' has no body", function.where);
}

void Builder::check_free_for_call(std::string_view callee, Loc loc)
{
    for (u8 i = 0; i < 6; ++i)
        if (busy_ >> i & 1)
            fail(Errc::live_across_call,
                 "'" + holder_[i] + "' lives in r" + std::to_string(i) + ", which the call of " +
                     std::string(callee) + " destroys",
                 loc);
}

void Builder::call(Helper helper, Loc loc)
{
    check_free_for_call(helper_name(helper), loc);
    append(call_helper(static_cast<i64>(helper)), loc);
}

void Builder::call(Subprogram function, Loc loc)
{
    if (!known(function, loc)) return;
    check_free_for_call(functions_[function.id].name, loc);
    append(call_local(), loc);
    nodes_.back().function = function.id;
}

void Builder::exit(NoReason, Loc loc) { emit(bpf::exit(), loc); }

// ---- resources ----

std::string Builder::holders(Pool pool) const
{
    std::string text;
    for (u8 i = 0; i < 10; ++i)
        if (static_cast<u16>(pool) >> i & 1) text += " r" + std::to_string(i) + "=" + holder_[i];
    return text;
}

Hold Builder::take(Pool pool, std::string_view who, Loc loc)
{
    for (u8 i = 0; i < 10; ++i) {
        if (!(static_cast<u16>(pool) >> i & 1) || busy_ >> i & 1) continue;
        return take(Reg{i}, who, loc);
    }
    fail(Errc::out_of_registers, "no register for '" + std::string(who) + "':" + holders(pool), loc);
    return {};
}

Hold Builder::take(Reg reg, std::string_view who, Loc loc)
{
    if (reg.index >= holder_.size()) {
        fail(Errc::out_of_registers,
             "r" + std::to_string(reg.index) + " cannot be lent to '" + std::string(who) + "'", loc);
        return {};
    }
    if (busy_ >> reg.index & 1) {
        fail(Errc::out_of_registers,
             "r" + std::to_string(reg.index) + " is not free for '" + std::string(who) + "': '" +
                 holder_[reg.index] + "' has it",
             loc);
        return {};
    }
    busy_ = static_cast<u16>(busy_ | 1u << reg.index);
    holder_[reg.index] = who;
    return Hold(*this, reg);
}

void Builder::release_context()
{
    if (given_ >> r1.index & 1) give_back(r1); // else it is lent already, to somebody who wants it
}

Hold Builder::take_argument(u32 number, std::string_view who, Loc loc)
{
    if (number == 0 || number > arguments_max || !(given_ >> number & 1)) {
        fail(Errc::out_of_registers,
             "argument " + std::to_string(number) + " for '" + std::string(who) +
                 "' is not there, or has been taken",
             loc);
        return {};
    }
    const Reg reg{static_cast<u8>(number)};
    give_back(reg);
    return take(reg, who, loc);
}

StackRange Builder::reserve_stack(u32 size, std::string_view who, Loc loc)
{
    const u32 aligned = (size + 7) & ~7u;
    if (size > stack_bytes_max || stack_used_ + aligned > stack_bytes_max) {
        fail(Errc::stack_overflow,
             "'" + std::string(who) + "' needs " + std::to_string(size) + " bytes of stack; " +
                 std::to_string(stack_bytes_max - stack_used_) + " of " + std::to_string(stack_bytes_max) +
                 " are left",
             loc);
        return {.off = -static_cast<i32>(stack_bytes_max), .size = size};
    }
    stack_used_ += aligned;
    return {.off = -static_cast<i32>(stack_used_), .size = size};
}

// ---- instructions ----

void Builder::append(const Insn& insn, Loc loc)
{
    nodes_.push_back({.insn = insn,
                      .only_by_jumps = std::exchange(only_by_jumps_, false),
                      .where = loc,
                      .note = static_cast<u32>(notes_.size() - 1)});
}

void Builder::emit(const Insn& insn, Loc loc)
{
    // What has a distance in it would lead elsewhere once something is dropped or lengthened.
    if (is_goto(insn) || (is_conditional(insn) && find_form(insn)))
        fail(Errc::bad_instruction, "a jump needs a label: see emit_jump()", loc);
    if (is_call(insn) && insn.src.index == static_cast<u8>(CallKind::local))
        fail(Errc::bad_instruction, "a call of a function needs its name: see call()", loc);
    append(insn, loc);
}

void Builder::emit_jump(const Insn& insn, Label target, Loc loc)
{
    append(insn, loc);
    if (known(target, loc)) nodes_.back().label = target.id;
}

// The loader knows a map by its name, so one name is one map.
void Builder::use_map(const MapSpec& map, Loc loc)
{
    for (const auto& known : maps_) {
        if (known.name != map.name) continue;
        if (known.type != map.type || known.key_size != map.key_size || known.value_size != map.value_size ||
            known.max_entries != map.max_entries || known.flags != map.flags)
            fail(Errc::redefined, "two maps that differ are named '" + map.name + "'", loc);
        return;
    }
    maps_.push_back(map);
}

void Builder::load_map(Reg dst, const MapSpec& map, Loc loc)
{
    use_map(map, loc);
    emit(ld_imm64(dst, 0, Pseudo::map_fd), loc);
    nodes_.back().reloc = Reloc::Kind::map_fd;
    nodes_.back().symbol = map.name;
}

void Builder::load_map_value(Reg dst, const MapSpec& map, u32 off, Loc loc)
{
    use_map(map, loc);
    emit(ld_imm64(dst, u64{off} << 32, Pseudo::map_value), loc); // the second slot's immediate is the offset
    nodes_.back().reloc = Reloc::Kind::map_value;
    nodes_.back().symbol = map.name;
}

void Builder::load_constant(Reg dst, i64 value, Loc loc)
{
    if (value >= INT32_MIN && value <= INT32_MAX)
        emit(mov64(dst, value), loc);
    else if (value >= 0 && value <= i64{UINT32_MAX})
        emit(alu32(Alu::mov, dst, i64{static_cast<i32>(static_cast<u32>(value))}), loc);
    else
        emit(ld_imm64(dst, static_cast<u64>(value)), loc);
}

void Builder::jump_if_symbol(Jmp op, Reg dst, const std::string& symbol, Label target, Loc loc)
{
    emit_jump(jump32(op, dst, i64{0}), target, loc);
    nodes_.back().reloc = Reloc::Kind::value32;
    nodes_.back().symbol = symbol;
}

void Builder::reads_stack(StackRange range) { nodes_.back().reads.push_back(range); }
void Builder::writes_stack(StackRange range) { nodes_.back().writes.push_back(range); }

std::expected<Program, Error> Builder::finish()
{
    Linker linker(*this);
    if (!error_) linker.resolve();
    if (!error_) linker.prune();
    if (!error_) Checker(*this).run();
    if (error_) return std::unexpected(*error_);
    Program program = linker.link();
    if (error_) return std::unexpected(*error_);
    return program;
}

} // namespace lb::bpf
