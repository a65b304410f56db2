// Opening a pin as what it is thought to be. A pin may hold a map, a program or a link alike, and the kernel
// answers questions about the one with an answer about the other, so the kind is asked for first. No state;
// any thread.
#pragma once

#include "kernel/fd.hpp"
#include "lb/base/result.hpp"

#include <string>

namespace lb::kernel {

enum class Object { map, program, link };

/// ENOENT where there is no such pin, EINVAL where it holds something else.
Result<Fd> open_pin(const std::string& path, Object kind);

} // namespace lb::kernel
