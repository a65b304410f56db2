// The report of a rejection as text for a terminal.
#include <algorithm>

#include "kernel/verifier_log.hpp"

namespace lb::kernel {

namespace {

constexpr std::size_t slot_width = 6;

std::string path_line(const PathStep& step)
{
    if (!step.slot) return "         " + step.text + "\n";
    const std::string slot = std::to_string(*step.slot);
    return (step.failed ? "  > " : "    ") +
           std::string(slot_width - std::min(slot_width, slot.size()), ' ') + slot + ": " + step.text + "\n";
}

std::string path_text(const std::vector<PathStep>& path)
{
    std::string text;
    std::string heading;
    for (const PathStep& step : path) {
        if (step.slot && step.where != heading) {
            heading = step.where;
            text += "  " + (heading.empty() ? "(no line)" : heading) + "\n";
        }
        text += path_line(step);
    }
    return text;
}

} // namespace

std::string to_text(const VerifierReport& report)
{
    std::string text =
        (report.complaint.empty() ? "the verifier's log has no complaint" : report.complaint) + "\n";
    if (report.slot) {
        text += "at slot " + std::to_string(*report.slot);
        if (!report.where.empty()) text += ", made by " + report.where;
        text += "\n";
    }
    if (!report.path.empty()) text += "\nThe way there:\n" + path_text(report.path);
    if (!report.registers.empty()) {
        text += "\nRegisters there:\n";
        for (const std::string& each : report.registers) text += "  " + each + "\n";
    }
    if (!report.cause.empty()) text += "\nWhat it means: " + report.cause + "\n";
    if (!report.advice.empty()) text += "What to change: " + report.advice + "\n";
    return text;
}

} // namespace lb::kernel
