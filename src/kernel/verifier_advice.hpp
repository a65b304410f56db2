// What the verifier's complaints mean and what to change in terms of the DSL: one row each, the first that
// matches is taken. Only text; pure; safe from any thread.
#pragma once

#include <optional>
#include <span>
#include <string_view>

namespace lb::kernel {

/// Which instruction a complaint is about.
enum class Blames {
    last_step,    ///< the one that was being looked at
    named,        ///< the one whose number stands after the row's `marker`
    program_end,  ///< the last of the program
    whole_program ///< none
};

struct Complaint {
    std::string_view pattern = {}; ///< `*` stands for any text; may match anywhere in the line
    Blames blames = Blames::last_step;
    std::string_view marker = {};
    std::string_view cause = {};
    std::string_view advice = {};
};

/// Every row, in the order in which they are tried.
std::span<const Complaint> complaints();

/// The first row that matches this line of a log.
const Complaint* find_complaint(std::string_view line);

/// Whether the pieces of `pattern` between its `*` stand in the line, in that order.
bool matches(std::string_view pattern, std::string_view line);

} // namespace lb::kernel
