// The builder: statements append instructions; labels, registers and stack slots are its resources. Nothing
// throws and no statement returns an error: the first error is kept, later statements go on harmlessly, and
// finish() reports it. Registers are lent to C++ scopes (Hold) from two pools: scratch r0-r5, lost in every
// call, and saved r6-r9. One Builder makes one Program, on one thread.
#pragma once

#include <array>
#include <concepts>
#include <expected>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "lb/asm/error.hpp"
#include "lb/asm/helpers.hpp"
#include "lb/asm/insn.hpp"
#include "lb/asm/map.hpp"
#include "lb/asm/program.hpp"

namespace lb::bpf {

/// Said where a program is left without a reason.
struct NoReason {
    explicit NoReason() = default;
};
inline constexpr NoReason no_reason{};

class Builder;

struct Label {
    u32 id = 0;
};
/// A function of the program other than its entry.
struct Subprogram {
    u32 id = 0;
};

/// What the kernel that shall run the program can do, as far as code generation depends on it.
struct Isa {
    bool gotol = false; ///< Linux 6.6: 32-bit jump distances
};

/// A register on loan; given back at the end of the scope.
class Hold {
public:
    Hold() = default;
    Hold(Builder& builder, Reg reg) : builder_(&builder), reg_(reg) {}
    Hold(Hold&& other) noexcept : builder_(std::exchange(other.builder_, nullptr)), reg_(other.reg_) {}
    Hold& operator=(Hold&& other) noexcept;
    ~Hold() { release(); }
    void release();
    Reg reg() const { return reg_; }
    /// Still on loan: neither given back nor moved away.
    bool held() const { return builder_ != nullptr; }

private:
    Builder* builder_ = nullptr;
    Reg reg_ = r0;
};

/// Memory at a constant distance from a register.
struct Place {
    Reg base = r0;
    i32 off = 0;
    Width width = Width::w64;
};

/// A comparison that has not been emitted yet. `w32`: compare the lower halves only.
struct Cond {
    Jmp op = Jmp::eq;
    bool w32 = false;
    std::variant<Reg, Place> left = r0;
    std::variant<i64, Reg> right = i64{0};
};

enum class Pool : u16 { scratch = 0b0000111111, saved = 0b1111000000 };

/// Bytes of the stack frame, as distances from fp.
struct StackRange {
    i32 off = 0; ///< negative
    u32 size = 0;
};

class Builder {
public:
    Builder(std::string name, ProgramType type, AttachType attach = AttachType::none, Isa isa = {},
            Loc loc = Loc::current());
    Builder(const Builder&) = delete;
    Builder& operator=(const Builder&) = delete;

    /// Text of the line records of the instructions that follow; it stands in the verifier's log and in
    /// listings.
    void note(std::string text);

    // ---- control flow ----

    Label label(std::string name, Loc loc = Loc::current());
    /// The label's place is here.
    void bind(Label label, Loc loc = Loc::current());
    /// Emits `goto label`.
    void jump(Label label, Loc loc = Loc::current());
    /// Emits `if cond goto label`, after a load where the left side is in memory.
    void jump_if(const Cond& cond, Label label, Loc loc = Loc::current());
    /// Emits `if !cond goto label`.
    void jump_unless(const Cond& cond, Label label, Loc loc = Loc::current());

    class Else {
    public:
        Else(Builder& builder, Label otherwise, Loc loc) : builder_(builder), otherwise_(otherwise), loc_(loc)
        {}
        /// The statements for the other case. Emits a `goto` over them at the end of the first.
        template <std::invocable F> void else_(F&& body)
        {
            const Label end = builder_.begin_else(otherwise_, loc_);
            body();
            builder_.bind(end, loc_);
        }

    private:
        Builder& builder_;
        Label otherwise_;
        Loc loc_;
    };
    /// `if_(cond, [&] {...}).else_([&] {...})`. Emits `if !cond goto else`.
    template <std::invocable F> Else if_(const Cond& cond, F&& then, Loc loc = Loc::current())
    {
        const Label otherwise = label("else", loc);
        jump_unless(cond, otherwise, loc);
        then();
        bind(otherwise, loc);
        return Else(*this, otherwise, loc);
    }
    /// Runs `body` up to `times` times, counting in a saved register; a `goto` out of the body ends it early.
    template <std::invocable F> void repeat(u32 times, F&& body, Loc loc = Loc::current())
    {
        if (times == 0) return; // the count is asked for behind the body
        const Hold counter = take(Pool::saved, "loop counter", loc);
        emit(mov64(counter.reg(), i64{times}), loc);
        const Label again = label("again", loc);
        bind(again, loc);
        body();
        emit(alu64(Alu::sub, counter.reg(), i64{1}), loc);
        jump_if({.op = Jmp::ne, .w32 = false, .left = counter.reg(), .right = i64{0}}, again, loc);
    }

    // ---- functions ----

    /// Declares a function of up to five scalars in r1-r5 with its result in r0. See take_argument().
    Subprogram subprogram(std::string name, u32 arguments, Loc loc = Loc::current());
    /// What follows is the body of `function`. The entry function's body comes first, without a call of this.
    void begin(Subprogram function, Loc loc = Loc::current());
    /// Emits `call function`; its arguments are in r1.. already. Destroys r0-r5.
    void call(Subprogram function, Loc loc = Loc::current());
    /// Emits `call helper`; arguments are in r1.. already. Destroys r0-r5.
    void call(Helper helper, Loc loc = Loc::current());
    /// Emits `exit` with what is in r0, out of a subprogram or of a program that has no packets to account
    /// for. Others leave by Exits, where each way out has a reason.
    void exit(NoReason, Loc loc = Loc::current());

    // ---- resources ----

    /// Lends the first free register of the pool, or keeps an error that names the holders.
    Hold take(Pool pool, std::string_view who, Loc loc = Loc::current());
    /// Lends this register; an error where it is held.
    Hold take(Reg reg, std::string_view who, Loc loc = Loc::current());
    /// The context in r1 has been read or moved: r1 is scratch from here on.
    void release_context();
    /// Lends the register in which this function is given an argument (1: r1), which is taken until then.
    Hold take_argument(u32 number, std::string_view who, Loc loc = Loc::current());
    /// Reserves bytes of the frame, 8-aligned, until the end of the innermost StackScope, or of the function.
    StackRange reserve_stack(u32 size, std::string_view who, Loc loc = Loc::current());
    /// What is reserved while this lives is free again afterwards: for parts of a program that exclude each
    /// other.
    class StackScope {
    public:
        explicit StackScope(Builder& builder) : builder_(builder), used_(builder.stack_used_) {}
        StackScope(const StackScope&) = delete;
        StackScope& operator=(const StackScope&) = delete;
        ~StackScope() { builder_.stack_used_ = used_; }

    private:
        Builder& builder_;
        u32 used_;
    };

    // ---- instructions ----

    /// Appends any instruction but jumps and calls of functions, whose distances are not known yet: the way
    /// out of the typed layer. Say at the place why the typed form cannot.
    void emit(const Insn& insn, Loc loc = Loc::current());
    /// Appends `if ... goto label`; the distance is filled at the end.
    void emit_jump(const Insn& insn, Label target, Loc loc);
    /// Emits `dst = map`.
    void load_map(Reg dst, const MapSpec& map, Loc loc);
    /// Emits `dst = address of the map's only element + off`: no lookup when the packet comes.
    void load_map_value(Reg dst, const MapSpec& map, u32 off, Loc loc);
    /// Emits `dst = number`, one slot where it fits.
    void load_constant(Reg dst, i64 value, Loc loc);
    /// Emits `if dst op <a number that the loader knows by this name> goto label`, 32 bits.
    void jump_if_symbol(Jmp op, Reg dst, const std::string& symbol, Label target, Loc loc);
    /// The last instruction reads these bytes of the frame (through a pointer given to a helper).
    void reads_stack(StackRange range);
    /// The last instruction writes these bytes of the frame.
    void writes_stack(StackRange range);
    /// What follows is reached by jumps alone: that control falls into it is an error.
    void only_by_jumps() { only_by_jumps_ = true; }

    /// Records a way out; Exits does it.
    void record_exit(ExitInfo exit) { exits_.push_back(std::move(exit)); }
    ProgramType type() const { return type_; }
    const Isa& isa() const { return isa_; }
    /// Keeps the first error.
    void fail(Error error);
    void fail(Errc code, std::string message, Loc loc) { fail({code, std::move(message), loc}); }
    /// The 16-bit form of a distance, or an error.
    i16 off16(i64 off, Loc loc);

    /// Prunes what cannot be reached, checks, and links. The Builder is spent afterwards.
    [[nodiscard]] std::expected<Program, Error> finish();

    // The parts of finish(), each in its own file.
    struct Node {
        Insn insn = {};
        std::optional<u32> label = {};    ///< jumps here
        std::optional<u32> function = {}; ///< calls it, or takes its address
        std::optional<Reloc::Kind> reloc = {};
        std::string symbol = {};
        std::vector<StackRange> reads = {}, writes = {}; ///< by a helper, through pointers
        bool only_by_jumps = false;
        Loc where = {};
        u32 note = 0;
    };
    struct LabelDef {
        std::string name = {};
        std::optional<u32> at = {}; ///< index of a node
        Loc where = {};
    };
    struct FunctionDef {
        std::string name = {};
        u32 arguments = 1;
        std::optional<u32> at = {};
        Loc where = {};
    };

private:
    friend class Hold;
    friend class Else;
    friend class Linker;
    friend class Checker;

    void give_back(Reg reg)
    {
        busy_ = static_cast<u16>(busy_ & ~(1u << reg.index));
        given_ = static_cast<u16>(given_ & busy_);
    }
    std::string holders(Pool pool) const;
    void append(const Insn& insn, Loc loc);
    bool known(Label label, Loc loc);
    bool known(Subprogram function, Loc loc);
    void check_bodies();
    void check_free_for_call(std::string_view callee, Loc loc);
    Label begin_else(Label otherwise, Loc loc);
    void use_map(const MapSpec& map, Loc loc);

    std::string name_;
    ProgramType type_;
    AttachType attach_;
    Isa isa_;
    std::vector<Node> nodes_ = {};
    std::vector<LabelDef> labels_ = {};
    std::vector<FunctionDef> functions_ = {};
    std::vector<std::string> notes_ = {""};
    std::vector<MapSpec> maps_ = {};
    std::vector<ExitInfo> exits_ = {};
    std::optional<Error> error_ = {};
    u32 stack_used_ = 0;
    u16 busy_ = 0;
    u16 given_ = 0; ///< of those, registers that the function began with and nobody has taken over
    bool only_by_jumps_ = false;
    std::array<std::string, 10> holder_ = {};
};

/// The kernel's limit of a frame (MAX_BPF_STACK).
inline constexpr u32 stack_bytes_max = 512;
/// The kernel's limit of a call (MAX_BPF_FUNC_REG_ARGS).
inline constexpr u32 arguments_max = 5;

} // namespace lb::bpf
