#include "lb/asm/packet.hpp"

namespace lb::bpf {

void PacketPointer::advance(u32 bytes, Loc loc)
{
    if (bytes != 0) b_->emit(alu64(Alu::add, at_.reg(), i64{bytes}), loc);
}

void PacketPointer::advance(const Var<u64>& bytes, Loc loc)
{
    b_->emit(alu64(Alu::add, at_.reg(), bytes.reg()), loc);
}

void PacketPointer::move_to(const PacketPointer& other, Loc loc)
{
    b_->emit(mov64(at_.reg(), other.at_.reg()), loc);
}

PacketPointer PacketPointer::fork(std::string_view name, u32 ahead, Loc loc) const
{
    PacketPointer other(*b_, b_->take(Pool::saved, name, loc), end_);
    b_->emit(mov64(other.at_.reg(), at_.reg()), loc);
    other.advance(ahead, loc);
    return other;
}

void PacketPointer::check(u32 bytes, Label too_short, Loc loc) const
{
    const Hold bound = b_->take(Pool::scratch, "bound", loc);
    b_->emit(mov64(bound.reg(), at_.reg()), loc);
    b_->emit(alu64(Alu::add, bound.reg(), i64{bytes}), loc);
    b_->jump_if({.op = Jmp::gt, .w32 = false, .left = bound.reg(), .right = end_}, too_short, loc);
}

Var<u64> PacketPointer::length(std::string_view name, Loc loc) const
{
    Var<u64> result(*b_, b_->take(Pool::scratch, name, loc));
    b_->emit(mov64(result.reg(), end_), loc);
    b_->emit(alu64(Alu::sub, result.reg(), at_.reg()), loc);
    return result;
}

Var<u64> PacketPointer::distance_from(const PacketPointer& start, std::string_view name, Loc loc) const
{
    Var<u64> result(*b_, b_->take(Pool::scratch, name, loc));
    b_->emit(mov64(result.reg(), at_.reg()), loc);
    b_->emit(alu64(Alu::sub, result.reg(), start.at_.reg()), loc);
    return result;
}

PacketBounds::PacketBounds(Dsl& b, Hold at, Hold end)
    : PacketPointer(b, std::move(at), end.reg()),
      end_hold_(std::move(end))
{}

PacketBounds::PacketBounds(Dsl& b, Loc loc)
    : PacketBounds{b, b.take(Pool::saved, "data", loc), b.take(Pool::saved, "data_end", loc)} // in this order
{}

void PacketBounds::load(Reg ctx, u32 data_off, u32 end_off, Loc loc)
{
    b_->emit(bpf::load(Width::w32, at_.reg(), ctx, b_->off16(data_off, loc)), loc);
    b_->emit(bpf::load(Width::w32, end_, ctx, b_->off16(end_off, loc)), loc);
}

XdpPacket::XdpPacket(Dsl& b, Loc loc) : PacketBounds(b, loc)
{
    if (b.type() != ProgramType::xdp)
        b.fail(Errc::not_this_program, "XdpPacket in a program that is not XDP", loc);
    load(r1, offset_of(&XdpMd::data), offset_of(&XdpMd::data_end), loc);
    b.release_context();
}

SkbPacket::SkbPacket(Dsl& b, Loc loc)
    : PacketBounds(b, loc),
      ctx_(b.in(b.take(Pool::saved, "ctx", loc), SkBuff{})),
      pulled_(b.local<u64>("pulled", loc)),
      again_(b.label("parse again", loc)),
      too_short_(b.label("not in the linear part", loc))
{
    if (b.type() != ProgramType::sched_cls)
        b.fail(Errc::not_this_program, "SkbPacket in a program that is not TC", loc);
    b.emit(mov64(ctx_.base(), r1), loc);
    b.release_context();
    pulled_() = 0;
    b.bind(again_, loc);
    load(ctx_.base(), offset_of(&SkBuff::data), offset_of(&SkBuff::data_end), loc);
}

void SkbPacket::emit_retry(u32 bytes, Label truncated, Loc loc)
{
    b_->bind(too_short_, loc);
    b_->jump_if(pulled_() != u64{0}, truncated, loc);
    pulled_() = 1;
    {
        auto length = b_->let<u32>("length", ctx_(&SkBuff::len), loc);
        b_->if_(
            length > bytes, [&] { length = bytes; }, loc);
        b_->call(Helper::skb_pull_data, {ctx_, std::move(length)}, loc); // the claims tell whether it could
    }
    b_->jump(again_, loc);
}

} // namespace lb::bpf
