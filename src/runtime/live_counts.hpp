// Corrects the live connections of each target, which the programs count and least-connections goes by: a
// pass of the collector sees every connection, so what an evicted entry or a race between two CPUs has left
// in a count is gone with the next pass. It finds out how many there were when the pass began, and adds the
// difference to what stood there then, so nothing is lost that programs count meanwhile. Wrong by no more
// than what began or ended in two jiffies. One thread.
#pragma once

#include <vector>

#include "kernel/map_mmap.hpp"
#include "model/layout.hpp"

namespace lb::runtime {

class LiveCounts {
public:
    /// `live`: the map of that name (datapath::Maps).
    static Result<LiveCounts> open(const kernel::Map& live);

    /// A pass begins; `now`: the low half of jiffies64.
    void begin(u32 now);
    /// The forward entry of a connection that the pass comes to.
    template <class A> void see(const model::Flow<A>& forward)
    {
        see(forward.target, static_cast<u32>(forward.created & 0xffffffff), forward.ended);
    }
    /// The pass has taken a connection out.
    template <class A> void remove(const model::Flow<A>& forward)
    {
        if (forward.ended == 0) add(forward.target, -1);
    }
    /// It has seen all of them.
    void correct() const;

private:
    void see(u32 target, u32 created, u32 ended);
    void add(u32 target, i64 number) const;

    kernel::MappedArray live_ = {};
    u32 began_ = 0;
    std::vector<i64> before_ = {}; ///< by target id: what the map said when the pass began
    std::vector<i64> seen_ = {};   ///< by target id: connections that lived then
};

} // namespace lb::runtime
