// Work on CPU 0 and CPU 1 at once, for tests of what must hold between them.
#pragma once

#include <sched.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <catch2/catch.hpp>
#include <functional>
#include <thread>

#include "lb/base/bytes.hpp"

namespace lb::test {

/// Runs `work(cpu, round)` on CPU 0 and on CPU 1, both let go at once in each round. False from either ends
/// it, and is the result.
inline bool on_two_cpus(u32 rounds, const std::function<bool(u32 cpu, u32 round)>& work)
{
    if (::sysconf(_SC_NPROCESSORS_ONLN) < 2) WARN("one CPU only: nothing happens at once here");
    std::array<std::atomic<u32>, 2> arrived{};
    std::atomic<bool> good = true;
    const auto run = [&](u32 cpu) {
        cpu_set_t set;
        CPU_ZERO(&set);
        CPU_SET(cpu, &set);
        ::sched_setaffinity(0, sizeof set, &set);
        for (u32 round = 0; round < rounds && good; ++round) {
            arrived[cpu].store(round + 1);
            for (u32 spins = 1; arrived[1 - cpu].load() <= round && good; ++spins)
                if (spins % 65536 == 0) ::sched_yield(); // the other one does not have its CPU now
            if (good && !work(cpu, round)) good = false;
        }
    };
    std::jthread first([&] { run(0); });
    std::jthread second([&] { run(1); });
    first.join();
    second.join();
    return good;
}

} // namespace lb::test
