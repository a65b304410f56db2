// Memory for the stages before a connection's entries are made: words of these entries that are not written
// yet. They cost no room in the frame; and since each is later written whole, the verifier knows that nobody
// reads what was left there. Elsewhere it would not: a word that is written by halves it takes for read, so
// whatever differs in it between two ways to the same place makes it follow the rest of the program twice.
#pragma once

#include <array>

#include "datapath/frame.hpp"

namespace lb::datapath {

/// What one object gives is apart from each other; another object gives the same memory again.
template <class F> class Scratch {
public:
    Scratch(bpf::Dsl& b, const NewFlowFrame<F>& fresh)
        : b_(b),
          free_{words_of(fresh.forward), words_of(fresh.reply)}
    {}
    template <class S> bpf::StackView<S> stack(std::string_view name, bpf::Loc loc = bpf::Loc::current())
    {
        return {b_, take(sizeof(S), name, loc)};
    }
    template <bpf::Scalar T> bpf::StackVar<T> local(std::string_view name, bpf::Loc loc = bpf::Loc::current())
    {
        return {b_, take(sizeof(T), name, loc)};
    }

private:
    using Flow = typename F::Flow;

    // From last_seen to bytes, which the insertion writes by 64 bits.
    static bpf::StackRange words_of(const bpf::StackView<Flow>& entry)
    {
        const u32 first = bpf::offset_of(&Flow::last_seen), last = bpf::offset_of(&Flow::bytes);
        return {entry.range().off + static_cast<i32>(first), last + u32{sizeof(u64)} - first};
    }
    bpf::StackRange take(u32 size, std::string_view name, bpf::Loc loc)
    {
        const u32 room = (size + 7) & ~7u;
        for (bpf::StackRange& free : free_) {
            if (free.size < room) continue;
            const bpf::StackRange taken{free.off, size};
            free.off += static_cast<i32>(room);
            free.size -= room;
            return taken;
        }
        b_.fail(bpf::Errc::stack_overflow, "no room for '" + std::string(name) + "' in the entries", loc);
        return {free_[0].off, size};
    }

    bpf::Dsl& b_;
    std::array<bpf::StackRange, 2> free_;
};

} // namespace lb::datapath
