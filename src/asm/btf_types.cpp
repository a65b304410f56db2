#include "asm/btf_types.hpp"

namespace lb::bpf {

namespace {

// Kinds of <linux/btf.h>.
constexpr u32 kind_int = 1;
constexpr u32 kind_ptr = 2;
constexpr u32 kind_array = 3;
constexpr u32 kind_struct = 4;
constexpr u32 kind_typedef = 8;
constexpr u32 kind_func = 12;
constexpr u32 kind_func_proto = 13;

constexpr u32 int_signed = 1u << 24;
constexpr u32 magic_and_version = 0x0001'eb9f; // u16 magic, u8 version, u8 flags
constexpr u32 header_bytes = 24;
constexpr std::size_t name_max = 127; // KSYM_NAME_LEN was 128 until Linux 6.1

void append(std::vector<u8>& bytes, u32 value)
{
    for (u32 shift = 0; shift < 32; shift += 8) bytes.push_back(static_cast<u8>(value >> shift));
}

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }

} // namespace

std::string btf_identifier(std::string_view name)
{
    std::string result;
    if (name.empty() || is_digit(name.front())) result.push_back('_');
    for (const char c : name.substr(0, name_max - result.size()))
        result.push_back(is_letter(c) || is_digit(c) ? c : '_');
    return result;
}

u32 BtfTypes::string(std::string_view text)
{
    text = text.substr(0, text.find('\0'));
    if (const auto known = string_offsets_.find(text); known != string_offsets_.end()) return known->second;
    const auto offset = static_cast<u32>(strings_.size());
    strings_.append(text).push_back('\0');
    string_offsets_.emplace(text, offset);
    return offset;
}

void BtfTypes::word(u32 value) { append(types_, value); }

u32 BtfTypes::add(u32 name, u32 kind, u32 length, u32 size_or_type)
{
    word(name);
    word(kind << 24 | length);
    word(size_or_type);
    return ++last_id_;
}

u32 BtfTypes::integer(std::string_view name, u32 bytes, bool is_signed)
{
    if (const auto known = named_.find(name); known != named_.end()) return known->second;
    const u32 id = add(string(name), kind_int, 0, bytes);
    word((is_signed ? int_signed : 0) | bytes * 8);
    named_.emplace(name, id);
    return id;
}

u32 BtfTypes::pointer(u32 type) { return add(0, kind_ptr, 0, type); }

u32 BtfTypes::array(u32 element, u32 index, u32 count)
{
    const u32 id = add(0, kind_array, 0, 0);
    word(element);
    word(index);
    word(count);
    return id;
}

u32 BtfTypes::structure(std::string_view name, u32 bytes, const std::vector<BtfMember>& members)
{
    const u32 id = add(string(btf_identifier(name)), kind_struct, static_cast<u32>(members.size()), bytes);
    for (const BtfMember& each : members) {
        word(string(btf_identifier(each.name)));
        word(each.type);
        word(each.offset * 8);
    }
    return id;
}

u32 BtfTypes::type_definition(std::string_view name, u32 type)
{
    if (const auto known = named_.find(name); known != named_.end()) return known->second;
    const u32 id = add(string(name), kind_typedef, 0, type);
    named_.emplace(name, id);
    return id;
}

u32 BtfTypes::prototype(u32 result, const std::vector<BtfParameter>& parameters)
{
    const u32 id = add(0, kind_func_proto, static_cast<u32>(parameters.size()), result);
    for (const BtfParameter& each : parameters) {
        word(string(btf_identifier(each.name)));
        word(each.type);
    }
    return id;
}

u32 BtfTypes::function(std::string_view name, u32 prototype, BtfLinkage linkage)
{
    return add(string(btf_identifier(name)), kind_func, static_cast<u32>(linkage), prototype);
}

std::vector<u8> BtfTypes::blob() const
{
    const auto types_bytes = static_cast<u32>(types_.size());
    std::vector<u8> bytes;
    append(bytes, magic_and_version);
    append(bytes, header_bytes);
    append(bytes, 0); // types begin right after the header
    append(bytes, types_bytes);
    append(bytes, types_bytes); // and the strings right after the types
    append(bytes, static_cast<u32>(strings_.size()));
    bytes.insert(bytes.end(), types_.begin(), types_.end());
    bytes.insert(bytes.end(), strings_.begin(), strings_.end());
    return bytes;
}

} // namespace lb::bpf
