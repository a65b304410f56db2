#include <cstring>

#include "asm/interpreter_alu.hpp"
#include "asm/interpreter_run.hpp"

namespace lb::bpf {

namespace {

using Kind = Value::Kind;

std::string bytes_at(u64 size, i64 off) { return std::to_string(size) + " bytes at " + std::to_string(off); }

u64 fetch(const u8* from, u32 size)
{
    u64 number = 0;
    std::memcpy(&number, from, size);
    return number;
}

constexpr std::size_t slot_of(i64 at) { return static_cast<std::size_t>(at + StackFrame::size) / 8; }
constexpr std::size_t byte_of(i64 at) { return static_cast<std::size_t>(at + StackFrame::size); }

} // namespace

// ---- instructions

bool Run::step_ldx(const Insn& insn)
{
    Value base, loaded;
    const u32 size = bytes_of(width_of(insn.opcode));
    if (!read(insn.src, base) || !check_alignment(base, insn.off, size, false)) return false;
    if (!load(loaded, base, insn.off, size)) return false;
    if (mode_of(insn.opcode) == Mode::memsx) {
        if (!loaded.is_number()) return fail(FaultKind::pointer_leak, "the sign of a pointer is extended");
        loaded.bits = extend_sign(loaded.bits, size * 8);
    }
    regs_[insn.dst.index] = loaded;
    return true;
}

bool Run::step_store(const Insn& insn)
{
    Value base, value = Value::number(static_cast<u64>(insn.imm));
    const u32 size = bytes_of(width_of(insn.opcode));
    if (!read(insn.dst, base) || !check_alignment(base, insn.off, size, false)) return false;
    if (class_of(insn.opcode) == Class::stx && !read(insn.src, value)) return false;
    return store(base, insn.off, size, value);
}

bool Run::step_atomic(const Insn& insn)
{
    const auto op = static_cast<Atomic>(insn.imm);
    const u32 size = bytes_of(width_of(insn.opcode));
    Value base, value;
    if (op == Atomic::load_acquire) {
        if (!read(insn.src, base) || !check_atomic(base, insn.off, size) ||
            !load(value, base, insn.off, size))
            return false;
        regs_[insn.dst.index] = value;
        return true;
    }
    if (!read(insn.dst, base) || !check_atomic(base, insn.off, size)) return false;
    if (op != Atomic::store_release) return step_read_modify_write(insn, base);
    return read(insn.src, value) && store(base, insn.off, size, value);
}

bool Run::step_read_modify_write(const Insn& insn, const Value& base)
{
    const auto op = static_cast<Atomic>(insn.imm);
    const u32 size = bytes_of(width_of(insn.opcode));
    Value operand, expected = Value::number(0);
    if (!read(insn.src, operand) || (op == Atomic::cmpxchg && !read(r0, expected))) return false;
    if (!operand.is_number() || !expected.is_number())
        return fail(FaultKind::pointer_leak,
                    "an atomic operation on " + describe(operand.is_number() ? expected : operand));
    u8* memory = locate(base, insn.off, size, Use::read);
    if (!memory) return false;
    const u64 before = fetch(memory, size);
    const u64 wanted = size == 4 ? static_cast<u32>(expected.bits) : expected.bits;
    if (op != Atomic::cmpxchg || before == wanted) {
        const u64 after = atomic_result(op, before, operand.bits);
        std::memcpy(memory, &after, size);
    }
    const bool fetches = insn.imm & 1; // the kernel's BPF_FETCH
    if (fetches) regs_[op == Atomic::cmpxchg ? 0 : insn.src.index] = Value::number(before);
    return true;
}

// ---- loads and stores

bool Run::load(Value& out, const Value& base, i64 off, u32 size)
{
    if (base.kind == Kind::context) return load_context(out, base.offset() + off, size);
    if (base.kind == Kind::stack && size == 8) {
        bool spilled = false;
        if (!load_spilled(out, base, off, spilled)) return false;
        if (spilled) return true;
    }
    const u8* memory = locate(base, off, size, Use::read);
    if (!memory) return false;
    out = Value::number(fetch(memory, size));
    return true;
}

bool Run::store(const Value& base, i64 off, u32 size, const Value& value)
{
    if (value.is_pointer()) return spill(base, off, size, value);
    u8* memory = locate(base, off, size, Use::write);
    if (!memory) return false;
    std::memcpy(memory, &value.bits, size);
    return true;
}

/// Where the eight bytes hold a pointer, this is it.
bool Run::load_spilled(Value& out, const Value& base, i64 off, bool& spilled)
{
    const StackFrame* frame = frame_of(base);
    if (!frame) return false;
    const i64 at = base.offset() + off;
    if (at < -StackFrame::size || at > -8 || at % 8 != 0) return true; // the checks of every load follow
    out = frame->spilled[slot_of(at)];
    spilled = out.kind != Kind::unset;
    return true;
}

bool Run::spill(const Value& base, i64 off, u32 size, const Value& pointer)
{
    if (base.kind != Kind::stack || size != 8)
        return fail(FaultKind::pointer_leak,
                    describe(pointer) +
                        (size != 8 ? " is stored in part" : " is stored outside of the stack"));
    if (!locate_stack(base, off, size, Use::write)) return false;
    StackFrame& frame = *frame_of(base);
    frame.spilled[slot_of(base.offset() + off)] = pointer;
    return true;
}

// ---- checks

/// The kernel demands alignment on the stack and in the context, and of atomic operations everywhere.
bool Run::check_alignment(const Value& base, i64 off, u32 size, bool always)
{
    const i64 at = base.offset() + off;
    if (at % size == 0) return true;
    if (!always && base.kind != Kind::stack && base.kind != Kind::context) return true;
    return fail(FaultKind::misaligned, bytes_at(size, at) + " of " + describe(base) + " are not aligned");
}

bool Run::check_atomic(const Value& base, i64 off, u32 size)
{
    if (base.kind == Kind::packet || base.kind == Kind::context)
        return fail(FaultKind::unsupported, "the kernel has no atomic operations on " + describe(base));
    return check_alignment(base, off, size, true);
}

u8* Run::locate(const Value& base, i64 off, u64 size, Use use)
{
    const i64 at = base.offset() + off;
    switch (base.kind) {
    case Kind::stack:
        return locate_stack(base, off, size, use);
    case Kind::context:
        return locate_context(at, size, use);
    case Kind::packet:
        if (base.id == packet.generation)
            return locate_in(std::span(packet.bytes).first(packet.meta + packet.linear), -i64{packet.meta},
                             at, size, base);
        fail(FaultKind::stale_pointer, "the packet may have moved since this pointer was loaded");
        return nullptr;
    case Kind::map_value:
        if (const auto value = maps_[base.map]->value(base.id, base.cpu); !value.empty())
            return locate_in(value, 0, at, size, base);
        fail(FaultKind::stale_pointer,
             "the element of map '" + maps_[base.map]->spec().name + "' was deleted or replaced");
        return nullptr;
    case Kind::record:
        return locate_record(base, at, size, use);
    case Kind::packet_end:
        fail(FaultKind::out_of_bounds, "an access at the end of the packet");
        return nullptr;
    case Kind::unset:
    case Kind::number:
    case Kind::map:
    case Kind::function:
        break;
    }
    const bool null = base.is_number() && base.bits == 0;
    fail(FaultKind::not_a_pointer, "an access through " + (null ? "a null pointer" : describe(base)));
    return nullptr;
}

u8* Run::locate_record(const Value& base, i64 at, u64 size, Use use)
{
    RingMemory& ring = ring_of(base);
    if (!ring.is_reserved(base.id)) {
        fail(FaultKind::stale_pointer, "the ring buffer's record was submitted or discarded");
        return nullptr;
    }
    u8* memory = locate_in(ring.record(base.id), 0, at, size, base);
    if (!memory) return nullptr;
    const auto first = static_cast<std::size_t>(at);
    if (use == Use::write) ring.set_written(base.id, first, size);
    if (ring.is_written(base.id, first, size)) return memory;
    fail(FaultKind::uninitialised_memory,
         bytes_at(size, at) + " of the ring buffer's record are read, and were not all written");
    return nullptr;
}

/// `first`: the distance of the object's first byte from where its pointers start.
u8* Run::locate_in(std::span<u8> object, i64 first, i64 at, u64 size, const Value& base)
{
    const i64 end = first + static_cast<i64>(object.size());
    if (at >= first && at <= end && size <= static_cast<u64>(end - at)) return object.data() + (at - first);
    const std::string extent =
        object.empty() ? "nothing" : std::to_string(first) + ".." + std::to_string(end - 1);
    fail(FaultKind::out_of_bounds, bytes_at(size, at) + " of " + object_name(base) + ", which has " + extent);
    return nullptr;
}

std::string Run::object_name(const Value& base) const
{
    switch (base.kind) {
    case Kind::stack:
        return "the stack";
    case Kind::context:
        return "the context";
    case Kind::packet:
        return "the packet's linear part";
    case Kind::map_value:
        return "a value of map '" + maps_[base.map]->spec().name + "'";
    default:
        return "the ring buffer's record";
    }
}

StackFrame* Run::frame_of(const Value& base)
{
    if (base.map < frames_.size() && frames_[base.map].serial == base.id) return &frames_[base.map];
    fail(FaultKind::stale_pointer, "the function whose stack this was has returned");
    return nullptr;
}

u8* Run::locate_stack(const Value& base, i64 off, u64 size, Use use)
{
    StackFrame* frame = frame_of(base);
    if (!frame) return nullptr;
    const i64 at = base.offset() + off;
    u8* memory = locate_in(frame->bytes, -StackFrame::size, at, size, base);
    if (!memory || size == 0) return memory;
    const i64 end = at + static_cast<i64>(size);
    for (std::size_t slot = slot_of(at); slot <= slot_of(end - 1); ++slot) {
        Value& spilled = frame->spilled[slot];
        if (spilled.kind == Kind::unset) continue;
        if (use == Use::read) {
            fail(FaultKind::pointer_leak,
                 bytes_at(size, at) + " of the stack are read as numbers, but hold " + describe(spilled));
            return nullptr;
        }
        spilled = {}; // what is left of the pointer means nothing
        for (std::size_t i = 0; i < 8; ++i) frame->written.reset(slot * 8 + i);
    }
    for (i64 i = at; i < end; ++i) {
        if (use == Use::write)
            frame->written.set(byte_of(i));
        else if (!frame->written.test(byte_of(i))) {
            fail(FaultKind::uninitialised_memory, bytes_at(size, at) + " of the stack are read, byte " +
                                                      std::to_string(i) + " was not written");
            return nullptr;
        }
    }
    return memory;
}

} // namespace lb::bpf
