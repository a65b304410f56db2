// The bytes of a BTF blob as they grow: a string table without duplicates and the type records, each of which
// gets the next id. The caller adds a type before it refers to it. Not safe from several threads; copies are
// independent.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lb/base/bytes.hpp"

namespace lb::bpf {

struct BtfParameter {
    std::string name = {};
    u32 type = 0;
};
struct BtfMember {
    std::string name = {};
    u32 type = 0;
    u32 offset = 0; ///< bytes
};
enum class BtfLinkage : u32 { static_ = 0, global = 1 };

/// A name that the kernel takes: letters, digits and `_`, not a digit first, at most 127 bytes, never empty.
std::string btf_identifier(std::string_view name);

class BtfTypes {
public:
    /// Where the string lies in the blob's strings; what follows a NUL byte is left out.
    u32 string(std::string_view text);

    /// An integer of 1, 2, 4 or 8 bytes. Asked for again by the same name, it is the same type.
    u32 integer(std::string_view name, u32 bytes, bool is_signed);
    /// A pointer to this type; 0 is void.
    u32 pointer(u32 type);
    u32 array(u32 element, u32 index, u32 count);
    u32 structure(std::string_view name, u32 bytes, const std::vector<BtfMember>& members);
    u32 type_definition(std::string_view name, u32 type);
    u32 prototype(u32 result, const std::vector<BtfParameter>& parameters);
    u32 function(std::string_view name, u32 prototype, BtfLinkage linkage);

    /// Header, types and strings, as BPF_BTF_LOAD takes them.
    std::vector<u8> blob() const;

private:
    u32 add(u32 name, u32 kind, u32 length, u32 size_or_type);
    void word(u32 value);

    std::vector<u8> types_ = {};
    std::string strings_ = std::string(1, '\0'); // offset 0 is the empty string
    std::map<std::string, u32, std::less<>> string_offsets_ = {{"", 0}};
    std::map<std::string, u32, std::less<>> named_ = {};
    u32 last_id_ = 0; // 0 is void
};

} // namespace lb::bpf
