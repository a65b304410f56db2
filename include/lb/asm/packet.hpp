// Places in a packet, each bounds-checked before it can be read or written. Part of dsl.hpp, which is the
// header to include. One thread.
#pragma once

#include "lb/asm/dsl.hpp"

namespace lb::bpf {

/// A pointer into the packet in a saved register, and the only source of header views: every one of them is
/// bounds-checked, so an unchecked access to a packet cannot be written (except by emit()). Views stand
/// relative to the pointer: when it moves, those claimed before are void.
class PacketPointer {
public:
    /// Consecutive headers from here on. Emits `if pointer + sizes > data_end goto too_short`.
    template <class... H> std::tuple<View<H>...> claim(Label too_short, Loc loc = Loc::current())
    {
        check((u32{0} + ... + u32{sizeof(H)}), too_short, loc);
        u32 off = 0;
        return {View<H>(*b_, at_.reg(), static_cast<i32>(std::exchange(off, off + u32{sizeof(H)})))...};
    }
    /// One header at a distance that is known now. Emits the same check.
    template <class H> View<H> claim_at(u32 off, Label too_short, Loc loc = Loc::current())
    {
        check(off + u32{sizeof(H)}, too_short, loc);
        return View<H>(*b_, at_.reg(), static_cast<i32>(off));
    }
    /// Emits `pointer += bytes`.
    void advance(u32 bytes, Loc loc = Loc::current());
    /// The same by a number that the verifier knows an upper limit of.
    void advance(const Var<u64>& bytes, Loc loc = Loc::current());
    /// Moves to a header that was claimed here, and shows it from there. Emits `pointer += distance`.
    template <class H> View<H> advance_to(const View<H>& header, Loc loc = Loc::current())
    {
        if (header.base() != at_.reg())
            b_->fail(Errc::bad_instruction, "the header was not claimed by this pointer", loc);
        advance(static_cast<u32>(header.offset()), loc);
        return View<H>(*b_, at_.reg(), 0);
    }
    /// Emits `pointer = other`.
    void move_to(const PacketPointer& other, Loc loc = Loc::current());
    /// A second pointer, so far ahead of this one. Emits a move and an addition.
    PacketPointer fork(std::string_view name, u32 ahead, Loc loc = Loc::current()) const;
    /// Bytes from here to data_end (for a non-linear skb or XDP frags: of the first part). Emits `r = end -
    /// pointer`.
    Var<u64> length(std::string_view name, Loc loc = Loc::current()) const;
    Reg data() const { return at_.reg(); }
    /// Bytes from `start` to here. Emits `r = pointer - start`.
    Var<u64> distance_from(const PacketPointer& start, std::string_view name, Loc loc = Loc::current()) const;

protected:
    PacketPointer(Dsl& b, Hold at, Reg end) : b_(&b), at_(std::move(at)), end_(end) {}
    void check(u32 bytes, Label too_short, Loc loc) const;

    Dsl* b_;
    Hold at_;
    Reg end_;
};

/// The packet from its first byte, and its end in a saved register.
class PacketBounds : public PacketPointer {
public:
    /// Gives data_end's register back where no more is claimed.
    void release_end() { end_hold_.release(); }
    /// For code that is only reached by jumps from before release_end(): the register still has data_end
    /// there.
    void retake_end(Loc loc = Loc::current()) { end_hold_ = b_->take(end_, "data_end", loc); }

protected:
    PacketBounds(Dsl& b, Loc loc);
    void load(Reg ctx, u32 data_off, u32 end_off, Loc loc);

private:
    PacketBounds(Dsl& b, Hold at, Hold end);
    Hold end_hold_;
};

/// The packet of an XDP program. Make it first in the entry function: it reads r1.
class XdpPacket : public PacketBounds {
public:
    explicit XdpPacket(Dsl& b, Loc loc = Loc::current());
};

/// The packet of a TC program. Keeps ctx, which the skb helpers take. Headers may lie outside of the linear
/// part: claims fail to too_short(), where emit_retry() makes more of the packet linear and begins anew,
/// once.
class SkbPacket : public PacketBounds {
public:
    explicit SkbPacket(Dsl& b, Loc loc = Loc::current());
    Label too_short() const { return too_short_; }
    /// Whether emit_retry()'s code has run.
    Cond pulled() const { return pulled_() != u64{0}; }
    /// Emits too_short(): `pull up to bytes, go back to where this packet was made`; the second time `goto
    /// truncated`. What was done before that claim is done again.
    void emit_retry(u32 bytes, Label truncated, Loc loc = Loc::current());
    const View<SkBuff>& context() const { return ctx_; }

private:
    View<SkBuff> ctx_;
    StackVar<u64> pulled_; ///< whether it has been tried
    Label again_, too_short_;
};

} // namespace lb::bpf
