// Bytes in a row, of which only the number matters: to be summed or copied.
#pragma once

#include <array>

#include "lb/base/bytes.hpp"

namespace lb::datapath {

template <u32 bytes> struct Block {
    std::array<u8, bytes> octets{};
};

} // namespace lb::datapath
