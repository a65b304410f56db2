// BTF, written byte by byte: types for a program's functions with the records that tie slots to functions and
// to source lines, and types for the keys and values of maps. The kernel's verifier log and bpftool show
// them. What comes out is bytes and ids; handing them to the kernel is the loader's work. Pure; safe from any
// thread.
#pragma once

#include <optional>
#include <vector>

#include "lb/asm/map.hpp"
#include "lb/asm/program.hpp"

namespace lb::bpf {

/// The kernel's `bpf_func_info`: the function that begins at this slot.
struct BtfFunction {
    u32 slot = 0;
    u32 type_id = 0;
    friend bool operator==(const BtfFunction&, const BtfFunction&) = default;
};
static_assert(sizeof(BtfFunction) == 8);

/// The kernel's `bpf_line_info`: the line that the slots from here on came from.
struct BtfLine {
    u32 slot = 0;
    u32 file_offset = 0; ///< into the blob's strings
    u32 text_offset = 0; ///< into the blob's strings
    u32 line_column = 0; ///< line << 10 | column
    friend bool operator==(const BtfLine&, const BtfLine&) = default;
};
static_assert(sizeof(BtfLine) == 16);

/// For BPF_BTF_LOAD (`blob`), and for BPF_PROG_LOAD: func_info and line_info with their record sizes.
struct ProgramBtf {
    std::vector<u8> blob = {};
    std::vector<BtfFunction> functions = {};
    std::vector<BtfLine> lines = {};
};

/// For BPF_BTF_LOAD (`blob`), and for BPF_MAP_CREATE: btf_key_type_id and btf_value_type_id.
struct MapBtf {
    std::vector<u8> blob = {};
    u32 key_type_id = 0;
    u32 value_type_id = 0;
};

/// The entry is `int name(struct xdp_md *ctx)`, or with the context of its type; the others are static and
/// take and return `u64`. Line records are brought into the form that the kernel wants: one at the start of
/// each function, strictly rising, none inside ld_imm64.
ProgramBtf program_btf(const Program& program);

/// Nothing where neither key nor value is described, or where the kernel refuses BTF for this type of map.
std::optional<MapBtf> map_btf(const MapSpec& spec);

} // namespace lb::bpf
