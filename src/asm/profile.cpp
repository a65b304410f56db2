#include "lb/asm/profile.hpp"

#include <algorithm>
#include <numeric>

#include "lb/asm/encode.hpp"

namespace lb::bpf {

Profile::Profile(const Program& program)
    : lines_(program.lines),
      slots_(program.code.size()),
      steps_(program.code.size())
{
    if (lines_.empty() || lines_.front().slot != 0) lines_.insert(lines_.begin(), LineInfo{});
    u32 line = 0;
    for (u32 slot = 0; slot < slots_.size(); ++slot) {
        while (line + 1 < lines_.size() && lines_[line + 1].slot <= slot) ++line;
        const RawInsn& raw = program.code[slot];
        const bool helper = raw.opcode == opcode_call && raw.registers >> 4 == 0;
        slots_[slot] = {.line = line, .helper = helper ? static_cast<u32>(raw.imm) : 0};
    }
}

std::function<void(u32)> Profile::trace()
{
    return [this](u32 slot) { ++steps_[slot]; };
}

u64 Profile::steps() const { return std::accumulate(steps_.begin(), steps_.end(), u64{0}); }

std::vector<Profile::Row> Profile::by_note() const { return rows(false); }
std::vector<Profile::Row> Profile::by_line() const { return rows(true); }

std::vector<Profile::Row> Profile::rows(bool lines) const
{
    std::vector<Row> rows;
    for (u32 slot = 0; slot < slots_.size(); ++slot) {
        if (steps_[slot] == 0) continue;
        const LineInfo& line = lines_[slots_[slot].line];
        auto row = std::ranges::find_if(rows, [&](const Row& each) {
            return each.note == line.text && (!lines || (each.file == line.file && each.line == line.line));
        });
        if (row == rows.end())
            row = rows.insert(row, {.note = line.text, .file = line.file, .line = line.line});
        row->steps += steps_[slot];
        if (slots_[slot].helper != 0) row->calls.insert(row->calls.end(), steps_[slot], slots_[slot].helper);
    }
    return rows;
}

} // namespace lb::bpf
