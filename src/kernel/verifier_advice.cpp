#include "kernel/verifier_advice.hpp"

#include <algorithm>
#include <array>
#include <iterator>

namespace lb::kernel {

namespace {

// Special cases stand before general ones. The wordings are those of Linux 5.15 to 6.18.
constexpr Complaint rows[] = {
    // ---- packets ----
    {.pattern = "invalid access to packet",
     .cause = "These bytes of the packet have not been compared with the packet's end on this path.",
     .advice = "Reach the header through Packet::claim or claim_at, with every header up to it in one claim; "
               "after a "
               "helper that changes the packet (pull, adjust_head, store_bytes), claim again."},
    {.pattern = "math between pkt pointer and register with unbounded",
     .cause = "A number of unknown size is added to a packet pointer.",
     .advice = "Bound the number first (`x &= 0x3c`, or jump_if it is too large) in 32 bits or less, and "
               "only then add "
               "it to the pointer."},
    {.pattern = "BPF_ATOMIC * into R* pkt",
     .cause = "Packets take plain stores only, no atomic ones.",
     .advice = "Load, change and store the field; count in a map value instead."},
    {.pattern = "misaligned packet access",
     .cause = "The kernel wants aligned access to packets here.",
     .advice = "Load the field in smaller parts, or do not set BPF_F_STRICT_ALIGNMENT."},
    {.pattern = "helper access to the packet is not allowed",
     .cause = "This helper takes no pointer into a packet.",
     .advice = "Copy the bytes into a stack() view and hand that over."},

    // ---- map values and other pointers ----
    {.pattern = "invalid mem access 'map_value_or_null'",
     .cause = "The result of a lookup is used before it was compared with 0: the entry may be missing.",
     .advice =
         "Use lookup(map, key, if_null), which takes the label for a missing entry, instead of emit()."},
    {.pattern = "invalid mem access '*_or_null'",
     .cause = "A pointer that a helper returned is used before it was compared with 0.",
     .advice = "jump_if(result == 0, ...) right after the call."},
    {.pattern = "invalid mem access 'pkt_end'",
     .cause = "The packet's end is a limit to compare with, not memory.",
     .advice =
         "Use the view that Packet::claim gave; check which register holds `data` and which `data_end`."},
    {.pattern = "invalid mem access 'scalar'",
     .cause =
         "A plain number is used as an address: a pointer was overwritten, lost in a call or never loaded.",
     .advice = "Keep the pointer in a saved register (r6-r9: keep(), lookup()), and look where the register "
               "was set "
               "last on the way shown."},
    {.pattern = "invalid mem access 'inv'", // the name before Linux 5.18
     .cause =
         "A plain number is used as an address: a pointer was overwritten, lost in a call or never loaded.",
     .advice = "Keep the pointer in a saved register (r6-r9: keep(), lookup()), and look where the register "
               "was set "
               "last on the way shown."},
    {.pattern = "invalid mem access '",
     .cause = "Memory is read or written through a register that does not point at memory.",
     .advice = "Go through a View of the struct (claim, lookup, stack) instead of a bare register."},
    {.pattern = "unbounded memory access",
     .cause = "A number of unknown size was added to the pointer, so the access may lie anywhere.",
     .advice = "Bound the index before it is added: `x &= size - 1` for a power of two, or jump_if(x >= "
               "size, ...)."},
    {.pattern = "min value is negative",
     .cause = "The index or size may be negative.",
     .advice = "Make it unsigned (u32, or `x &= mask`) or jump_if(x < 0, ...) before it is used."},
    {.pattern = "invalid access to map value",
     .cause = "The access lies outside of the map's value.",
     .advice = "Name the field by its struct member; for an index, bound it so that index + width fits in "
               "the value; "
               "compare the map's value_size with the struct."},
    {.pattern = "invalid access to memory, mem_size=",
     .cause = "The access lies outside of the memory that the helper gave.",
     .advice = "Ask for as many bytes as the struct has (ring buffer: reserve(sizeof)), and name fields by "
               "member."},
    {.pattern = "outside of the allowed memory range",
     .cause = "The access may lie outside of what the pointer points at.",
     .advice = "Bound the index so that index + width fits."},
    {.pattern = "math between * pointer and register with unbounded",
     .cause = "A number of unknown size is added to a pointer.",
     .advice = "Bound the number first (`x &= mask`, or jump_if it is too large), then add it."},
    {.pattern = "write into map forbidden",
     .cause = "The map is read-only for programs.",
     .advice = "Create the map without BPF_F_RDONLY_PROG, or do not write."},
    {.pattern = "cannot write into",
     .cause = "This memory is read-only for programs.",
     .advice = "Copy it into a stack() view and change the copy."},
    {.pattern = "misaligned value access",
     .cause = "The field does not lie at a multiple of its width, as this access needs.",
     .advice = "Order or pad the struct so that each member is aligned; atomics always need it."},
    {.pattern = "same insn cannot be used with different pointers",
     .cause = "Two paths meet here with different kinds of pointers in one register.",
     .advice = "Do the access on each path before they meet, or use a register for each."},

    // ---- registers ----
    {.pattern = "!read_ok",
     .cause = "A register is read that holds nothing on this path: it was never set, or a call destroyed it "
              "(r1-r5).",
     .advice = "Set it on every path that leads here; over a call use keep() instead of let(). For r0 at the "
               "exit: give "
               "the program a result (Exits does)."},
    {.pattern = "frame pointer is read only",
     .cause = "r10 cannot be written.",
     .advice = "Copy it to a register from take() and change that."},
    {.pattern = "pointer arithmetic on pkt_end prohibited",
     .cause = "The packet's end cannot be moved.",
     .advice = "Move the other side: compare `data + bytes > data_end` as Packet::claim does."},
    {.pattern = "32-bit pointer arithmetic prohibited",
     .cause = "A 32-bit operation on a pointer cuts off its upper half.",
     .advice = "Use the 64-bit form; hold pointers in View, not in Var<u32>."},
    {.pattern = "subtraction from stack pointer prohibited",
     .cause = "A number is subtracted from a pointer into the stack.",
     .advice = "Use stack() or local(), whose distances are constants, or add a negative constant."},
    {.pattern = "pointer arithmetic with *operator prohibited",
     .cause = "A pointer can only be moved by + and -.",
     .advice = "Compute with the index, and add it to the pointer last."},
    {.pattern = "bitwise operator *on pointer prohibited",
     .cause = "A pointer can only be moved by + and -.",
     .advice = "Compute with the index, and add it to the pointer last."},
    {.pattern = "R* pointer * pointer prohibited",
     .cause = "Two pointers are combined.",
     .advice =
         "Only `data_end - data` makes a number (Packet::length); else load a number into one of the two."},
    {.pattern = "pointer arithmetic on * prohibited",
     .cause = "This kind of pointer cannot be moved; one that may be null must be compared with 0 first.",
     .advice = "Compare with null before moving it, or access a constant offset instead."},
    {.pattern = "pointer comparison prohibited",
     .cause = "A pointer is compared with something else than null or the packet's end.",
     .advice = "Compare numbers, or load the program with CAP_PERFMON."},
    {.pattern = "leaks addr",
     .cause = "A kernel address would become visible: it is returned, stored in a map or given away.",
     .advice = "Store the number that was meant (load the field first); loading with CAP_PERFMON allows it "
               "otherwise."},
    {.pattern = "BPF_ATOMIC * into R*",
     .cause = "This memory takes plain stores only, no atomic ones.",
     .advice = "Use atomic_add on map values; elsewhere load, change and store."},

    // ---- stack ----
    {.pattern = "misaligned stack access",
     .cause = "A stack access does not lie at a multiple of its width (8-byte stores must be 8-aligned).",
     .advice =
         "Take memory with stack() or local(), which are 8-aligned, and name members; do not write offsets."},
    {.pattern = "invalid variable-offset",
     .cause = "The stack is accessed at a distance that is not known.",
     .advice = "Use constant distances (members of a stack() view), or keep the table in a map."},
    {.pattern = "invalid read from stack",
     .cause = "These bytes of the stack were not written on this path, or lie outside of the frame.",
     .advice = "Write every member of the stack() view first, padding included, on every path; for a map key "
               "that is "
               "each byte of key_size."},
    {.pattern = "invalid indirect read from stack",
     .cause = "A helper reads bytes of the stack that were not written on this path.",
     .advice = "Write every member of the stack() view first, padding included, on every path; for a map key "
               "that is "
               "each byte of key_size."},
    {.pattern = "invalid write to stack",
     .cause = "The store lies outside of the frame's 512 bytes.",
     .advice =
         "Take memory with stack() or local(), and name members; move large structs to a per-CPU array."},
    {.pattern = "invalid stack", // the wording before Linux 5.12, and for helpers
     .cause = "The access lies outside of the frame's 512 bytes.",
     .advice =
         "Take memory with stack() or local(), and name members; move large structs to a per-CPU array."},
    {.pattern = "attempt to corrupt spilled pointer on stack",
     .cause = "Part of a pointer that was saved on the stack is overwritten.",
     .advice = "Give the number a stack() view or local() of its own."},
    {.pattern = "combined stack size of",
     .blames = Blames::whole_program,
     .cause = "The frames of the functions that call one another exceed 512 bytes together.",
     .advice = "Reserve less stack() in the caller or the subprogram, make one of them part of the other, or "
               "move large "
               "structs to a per-CPU array."},
    {.pattern = "the call stack of",
     .cause = "Subprograms call one another more than 8 deep.",
     .advice = "Put the innermost ones into their callers."},

    // ---- context and helpers ----
    {.pattern = "dereference of modified ctx ptr",
     .cause = "The context pointer was moved before it was read; the kernel wants it as it was given.",
     .advice = "Read fields through the context's View by member; do not add to the register itself."},
    {.pattern = "variable ctx access",
     .cause = "The context pointer was moved by a number that is not known.",
     .advice = "Read fields through the context's View by member; do not add to the register itself."},
    {.pattern = "invalid bpf_context access",
     .cause = "This context field does not exist, or may not be accessed with this width or written by this "
              "type of "
              "program.",
     .advice =
         "Name the field by its member of XdpMd or SkBuff, in the struct that fits the program's type; read "
         "data and data_end with 32 bits."},
    {.pattern = "R* type=* expected=",
     .cause = "The helper wants another kind of argument in this register.",
     .advice = "Pass maps, views and numbers in the order of the helper's signature; a pointer that may be "
               "null must be "
               "compared with 0 first."},
    {.pattern = "program of this type cannot use helper",
     .cause = "This helper is not there for this type of program.",
     .advice =
         "Check the program's ProgramType, or use the helper of this type (XDP and TC have their own)."},
    {.pattern = "unknown func",
     .cause = "This kernel does not have the helper, or not for this type of program.",
     .advice = "Ask the kernel's features before generating the call, and generate the older form where it "
               "is missing."},
    {.pattern = "invalid func",
     .cause = "This kernel does not have the helper.",
     .advice = "Ask the kernel's features before generating the call, and generate the older form where it "
               "is missing."},
    {.pattern = "cannot call GPL-restricted function from non-GPL",
     .cause = "The helper is for programs under the GPL only.",
     .advice = "Load the program with the license \"GPL\"."},
    {.pattern = "Unreleased reference",
     .cause = "What a helper handed out (a ring buffer record, a socket) is not given back on this path.",
     .advice = "Submit, discard or release it on every path, also on those that jump to an exit."},
    {.pattern = "is not pointing to valid bpf_map",
     .blames = Blames::whole_program,
     .cause = "A map's place in the program holds no map fd.",
     .advice = "Create every map of Program::maps and fill each relocation before loading."},

    // ---- control flow ----
    {.pattern = "unreachable insn ",
     .blames = Blames::named,
     .marker = "unreachable insn ",
     .cause = "No path leads to this instruction; the kernel refuses that even for root.",
     .advice =
         "Let finish() prune; a statement after ret, jump or an if_ whose branches both leave is dead."},
    {.pattern = "back-edge from insn ",
     .blames = Blames::named,
     .marker = "from insn ",
     .cause = "A jump goes backward, which needs CAP_BPF and Linux 5.3.",
     .advice = "Load as root, or unroll the loop with a C++ for."},
    {.pattern = "infinite loop detected at insn ",
     .blames = Blames::named,
     .marker = "at insn ",
     .cause = "The loop comes back with nothing changed, so it would not end.",
     .advice =
         "Use repeat(times, ...), which counts down in a saved register, and change in every round what the "
         "condition reads."},
    {.pattern = "program is too large",
     .cause =
         "The verifier gave up after a million instructions: a loop of too many rounds, or too many paths.",
     .advice = "Lower the rounds of repeat(); put what varies per leaf into a map row or a subprogram, so "
               "that paths "
               "meet again with equal states."},
    {.pattern = "jumps is too complex",
     .cause = "Too many branches are open at once.",
     .advice = "Lower the rounds of repeat(), or move its body into a subprogram."},
    {.pattern = "jump out of range from insn ",
     .blames = Blames::named,
     .marker = "from insn ",
     .cause = "A jump leaves its function.",
     .advice =
         "Jump to labels that are bound in the same function; take distances from finish(), not by hand."},
    {.pattern = "jump into the middle of ldimm64",
     .blames = Blames::named,
     .marker = "ldimm64 insn ",
     .cause = "A jump goes to the second half of a two-slot instruction.",
     .advice = "Jump to labels; where distances are written by hand, ld_imm64 counts two."},
    {.pattern = "last insn is not an exit or jmp",
     .blames = Blames::program_end,
     .cause = "Control can run off the end of a function.",
     .advice = "End every function with exit(), ret or a jump; Exits::emit comes last in the entry."},
    {.pattern = "At program exit the register R0",
     .cause = "The program may return a value that its type does not have.",
     .advice = "Return a constant verdict through Exits; bound a computed one before the exit."},
    {.pattern = "unknown opcode",
     .blames = Blames::whole_program,
     .cause = "This kernel does not know an instruction of the program.",
     .advice = "Generate for this kernel's features (Isa)."},
    {.pattern = "uses reserved fields",
     .cause = "A field of the instruction is set that this form, or this kernel, does not have.",
     .advice =
         "Use the constructors of insn.hpp; newer forms (sign extension, gotol) need the kernel's feature."},
    {.pattern = "div by zero",
     .cause = "A constant divisor is 0.",
     .advice = "Check the number that the plan gave to the division."},
    {.pattern = "invalid shift ",
     .cause = "A constant shift is not smaller than the register's width.",
     .advice = "Shift by 0..63 (0..31 in 32 bits)."},
    {.pattern = "missing bpf_line_info for func",
     .blames = Blames::whole_program,
     .cause = "A function has no line record at its first slot.",
     .advice = "Load with the records of program_btf()."},
    {.pattern = "line_info",
     .blames = Blames::whole_program,
     .cause = "The line records do not fit the program.",
     .advice = "Make them with program_btf() after the last change of the code."},
};

} // namespace

std::span<const Complaint> complaints() { return rows; }

bool matches(std::string_view pattern, std::string_view line)
{
    while (!pattern.empty()) {
        const std::string_view piece = pattern.substr(0, pattern.find('*'));
        const std::size_t at = line.find(piece);
        if (at == std::string_view::npos) return false;
        line.remove_prefix(at + piece.size());
        pattern.remove_prefix(std::min(pattern.size(), piece.size() + 1));
    }
    return true;
}

const Complaint* find_complaint(std::string_view line)
{
    const auto* row = std::find_if(std::begin(rows), std::end(rows),
                                   [&](const Complaint& each) { return matches(each.pattern, line); });
    return row == std::end(rows) ? nullptr : row;
}

} // namespace lb::kernel
