// Errors of the assembler: a code, a message, and the C++ line that misused it. Either our bug (an unbound
// label) or a plan that does not fit the machine (registers, stack, distances). Pure values; safe from any
// thread.
#pragma once

#include <source_location>
#include <string>

namespace lb::bpf {

using Loc = std::source_location;

enum class Errc {
    unbound_label,          ///< a jump's label is never bound
    rebound_label,          ///< a label is bound twice
    jump_out_of_range,      ///< farther than 16 bits, and the kernel has no gotol
    immediate_out_of_range, ///< does not fit in the 32 bits of the instruction, or in the type it is for
    offset_out_of_range,    ///< a memory offset beyond 16 bits
    out_of_registers,       ///< all registers of the pool are held
    stack_overflow,         ///< more than 512 bytes
    unaligned_stack,        ///< an access to the stack that is not aligned to its width
    uninitialised_register, ///< read, but not set on every path, or used after it was given back
    uninitialised_stack,    ///< bytes read or given to a helper, but not written on every path
    live_across_call,       ///< a value in r0-r5 would be lost in a call
    argument_clobbered,     ///< an argument's register is overwritten by an earlier argument
    falls_off_end,          ///< control can leave a function without exit
    not_this_program,       ///< a statement that this program type does not have
    bad_instruction,        ///< refused by the encoder
    unbound_function,       ///< a function is called but has no body
    redefined,              ///< a function, a map or a way out is given twice, and differently
};

struct Error {
    Errc code{};
    std::string message = {};
    Loc where = {};
};

/// "ingress.cpp:34: label 'drop' is never bound".
std::string to_string(const Error& error);

/// The last part of a path: line records and messages name files without the folder that lb was built in.
std::string base_name(const char* path);

} // namespace lb::bpf
