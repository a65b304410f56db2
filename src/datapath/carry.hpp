// Direct server return, up to the point where the packet is ready to go: it stays as the client sent it, and
// a connection has one entry only. The stage that carries it (carrier.hpp) is emitted once for all families
// and protocols, so what it has to know is handed over in the stack frame.
#pragma once

#include "datapath/frame.hpp"
#include "datapath/ways.hpp"

namespace lb::datapath {

/// Both in one word of the frame, which is short.
struct Handed {
    u32 target = 0;
    be16 sport{};
    u16 zero16 = 0;
};

/// What the stages before leave for the one that carries.
struct Carrying {
    explicit Carrying(bpf::Dsl& b) : Carrying(b, b.stack<Handed>("handed over")) {}
    bpf::StackVar<u32> target;
    bpf::StackVar<be16> sport; ///< of a tunnel by UDP; others spread by it, too
    bpf::Label send;           ///< go there when both are written
    bpf::Label translated;     ///< or there, with a translated packet: `target` is enough

private:
    Carrying(bpf::Dsl& b, const bpf::StackView<Handed>& handed)
        : target(b.part(handed, &Handed::target)),
          sport(b.part(handed, &Handed::sport)),
          send(b.label("carry")),
          translated(b.label("send translated"))
    {}
};

/// Emits what hands a packet of this connection over, and goes.
template <class Flow> void hand_over(bpf::Dsl& b, const Carrying& carrying, const bpf::View<Flow>& flow)
{
    carrying.sport() = flow(&Flow::sport);
    auto target = b.let<u32>("target", flow(&Flow::target));
    carrying.target() = target;
    target.release();
    b.jump(carrying.send);
}

/// Emits the one entry of a new connection to the target whose id is in `frame.index`. Arrives behind it with
/// `flow` at it; goes to `raced` with `flow` at the entry that another CPU made meanwhile.
template <class F, class L4>
void insert_carried(bpf::Dsl& b, const Maps& maps, const Frame<F>& frame, const NewFlowFrame<F>& fresh,
                    const Headers<F, L4>& headers, bpf::View<model::TargetRow> row,
                    const bpf::View<typename F::Flow>& flow, Ways& ways, bpf::Label raced);

/// Emits, for a SYN on the known tuple of a carried connection: an ended one is forgotten (`goto missing`),
/// another goes on (`goto lives`). Falls through where the connection is of the other kind.
template <class F>
void reopen_carried(bpf::Dsl& b, const Maps& maps, const Frame<F>& frame,
                    const bpf::View<typename F::Flow>& flow, bpf::Label missing, bpf::Label lives);

} // namespace lb::datapath
