// One run of one program: its registers, frames, packet and context. What the parts of the interpreter
// (steps, memory, context, helpers) share; each is in a file of its own. Every operation returns false after
// fail(), which keeps the reason; the step that called it then ends the run.
#pragma once

#include <array>
#include <bitset>
#include <span>
#include <string>

#include "lb/asm/interpreter.hpp"

namespace lb::bpf {

/// What a register or a spilled stack slot holds.
struct Value {
    enum class Kind : u8 {
        unset,
        number,
        context,
        packet,
        packet_end, ///< compared and subtracted only
        stack,
        map_value,
        map,
        function,
        record, ///< of a ring buffer
    };
    u64 bits = 0; ///< the number, or the distance from the start of the object (its top, for the stack)
    u32 id = 0;   ///< packet: generation; stack: serial of the frame; map value: element; record; slot
    u16 map = 0;  ///< index of the map; stack: depth of the frame
    Kind kind = Kind::unset;
    u8 cpu = 0; ///< whose copy of a map's value

    static constexpr Value number(u64 bits) { return {.bits = bits, .kind = Kind::number}; }
    bool is_number() const { return kind == Kind::number; }
    bool is_pointer() const { return kind > Kind::number; }
    i64 offset() const { return static_cast<i64>(bits); }
};

/// The stack frame of one function call, with a record of what has been written to it.
struct StackFrame {
    static constexpr i64 size = 512;
    std::array<u8, size> bytes{};
    std::bitset<size> written{};
    std::array<Value, size / 8> spilled{}; ///< pointers, by slot of 8 bytes; else unset
    u32 serial = 0;
    u32 return_slot = 0;
    std::array<Value, 4> saved{}; ///< the caller's r6-r9
    u64 rounds = 0;               ///< of its may_goto
};

inline constexpr std::size_t frames_max = 8; // the kernel's MAX_CALL_FRAMES

enum class Use { read, write };

class Run {
public:
    using Maps = std::span<const std::unique_ptr<MapMemory>>;
    Run(const LoadedProgram& program, Maps maps, Input input, const Environment& environment,
        const RunOptions& options);
    std::expected<Outcome, Fault> go();

    // ---- for helpers: arguments are r1.. by number ----

    bool fail(FaultKind kind, std::string message);
    bool number(u8 argument, u64& out);
    bool context_argument(u8 argument);
    /// Null after fail().
    MapMemory* map(u8 argument);
    RingMemory* ring(u8 argument);
    RingMemory& ring_of(const Value& record) const { return *maps_[record.map]->ring(); }
    /// `size` bytes of memory that the program could read itself; null after fail().
    const u8* readable(u8 argument, u64 size, std::string_view what);
    Value& reg(u8 index) { return regs_[index]; }
    /// Sets r0; for the end of a helper.
    bool give(u64 result)
    {
        regs_[0] = Value::number(result);
        return true;
    }
    bool give(Value result)
    {
        regs_[0] = result;
        return true;
    }
    /// Runs a function of the program to its end and leaves its result in r0.
    bool call_back(u32 slot, Value first, Value second);
    bool next_random(u32& out);
    const Environment& environment() const { return environment_; }
    ProgramType type() const { return program_.program().type; }

    /// The packet as the kernel has it: `linear` of its bytes are before data_end.
    struct Packet {
        std::vector<u8> bytes = {}; ///< metadata first
        u32 meta = 0;
        u32 linear = 0;     ///< without the metadata
        u32 generation = 1; ///< pointers of an earlier one are stale
        ChecksumState checksum = ChecksumState::complete;
        u32 length() const { return static_cast<u32>(bytes.size()) - meta; }
        u8* data() { return bytes.data() + meta; }
    };
    Packet packet = {};
    /// Record ids that were reserved and neither submitted nor discarded yet.
    u32 records_held = 0;

private:
    // interpreter_run.cpp: steps and control
    bool enter(u32 slot, u32 return_slot);
    bool run_until(std::size_t depth);
    bool step();
    bool step_alu(const Insn& insn);
    bool step_pointer_alu(const Insn& insn, Value& dst, const Value& src);
    bool step_ld(const Insn& insn, std::optional<u16> map_index);
    bool step_classic_load(const Insn& insn);
    bool step_jump(const Insn& insn);
    bool taken(const Insn& insn, bool& taken);
    bool compare_pointers(const Insn& insn, const Value& dst, const Value& src, bool& taken);
    bool call(const Insn& insn);
    bool call_helper(u32 number);
    bool leave();
    bool go_to(i64 slot);
    bool read(Reg reg, Value& out);
    bool read_number(Reg reg, u64& out);
    bool operand(const Insn& insn, Value& out);

    // interpreter_memory.cpp
    bool step_ldx(const Insn& insn);
    bool step_store(const Insn& insn);
    bool step_atomic(const Insn& insn);
    bool step_read_modify_write(const Insn& insn, const Value& base);
    bool load(Value& out, const Value& base, i64 off, u32 size);
    bool store(const Value& base, i64 off, u32 size, const Value& value);
    bool load_spilled(Value& out, const Value& base, i64 off, bool& spilled);
    bool spill(const Value& base, i64 off, u32 size, const Value& pointer);
    bool check_alignment(const Value& base, i64 off, u32 size, bool always);
    bool check_atomic(const Value& base, i64 off, u32 size);
    /// The bytes that a pointer is for, after every check but for alignment; null after fail().
    u8* locate(const Value& base, i64 off, u64 size, Use use);
    u8* locate_stack(const Value& base, i64 off, u64 size, Use use);
    u8* locate_record(const Value& base, i64 at, u64 size, Use use);
    u8* locate_in(std::span<u8> object, i64 first, i64 at, u64 size, const Value& base);
    std::string object_name(const Value& base) const;
    StackFrame* frame_of(const Value& base);

    // interpreter_context.cpp
    bool load_context(Value& out, i64 off, u32 size);
    bool load_packet_pointer(Value& out, i64 off, u32 size);
    u8* locate_context(i64 off, u64 size, Use use);

    bool take_input();
    Outcome outcome();

    Fault described() const; // interpreter.cpp

    const LoadedProgram& program_;
    Maps maps_;
    const Environment& environment_;
    const RunOptions& options_;

    std::array<Value, registers_count> regs_{};
    std::vector<StackFrame> frames_ = {};
    u32 next_serial_ = 1;
    u32 pc_ = 0; ///< of the next instruction
    u32 at_ = 0; ///< of the one at work
    u64 steps_ = 0;
    std::size_t randoms_used_ = 0;
    std::vector<Helper> calls_ = {};
    std::vector<u8> context_ = {}; ///< as the program sees it, but for the packet's pointers
    Input input_;
    std::optional<Fault> fault_ = {};
};

/// What a value is, for messages: "a number", "a pointer into the packet".
std::string describe(const Value& value);

/// Runs a helper by number: false after run.fail(), also for one that is not known.
bool run_helper(Run& run, u32 number);

// interpreter_skb.cpp
bool skb_pull_data(Run& run);
bool l4_csum_replace(Run& run);

} // namespace lb::bpf
