// Which network namespace a thread is in. No state; any thread.
#pragma once

#include "lb/base/bytes.hpp"

namespace lb::kernel {

/// The number of this thread's network namespace: its cookie, which no other has until the machine starts
/// anew (SO_NETNS_COOKIE, Linux 5.14); before, its inode, which a later one may get. 0: the kernel tells
/// neither.
u64 network_namespace_id();

} // namespace lb::kernel
