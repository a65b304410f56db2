// What lb ought to do with a frame, written from the README and the RFCs and apart from src/datapath: its own
// parsing, its own table of connections, checksums computed from scratch. Numbers are in host order. Where lb
// is free to choose (which target of a group, which source port for a look-alike), the choice is read off the
// frame that came out, and held to its rules. This file has the tables; reading and writing frames have their
// own. One thread.
#pragma once

#include <deque>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "model_parse.hpp"
#include "model_rewrite.hpp"
#include "model_tunnel.hpp"

namespace lb::test {

struct ModelTarget {
    Address ip = {};
    u16 port = 0;
    friend auto operator<=>(const ModelTarget&, const ModelTarget&) = default;
};
using ModelGroup = std::vector<ModelTarget>; ///< those with a weight above 0

struct ModelRoute {
    Address network = {};
    u8 length = 0;
    ModelGroup group = {};
};

struct ModelPrefix {
    Address network = {};
    u8 length = 0;
};

struct ModelProxy {
    ModelGroup group = {};
    std::vector<ModelRoute> routes = {};
    std::vector<ModelPrefix> allow = {}, deny = {}; ///< as the file has them
    bool persistent = false;                        ///< a client's address keeps its target
    ModelMode mode = ModelMode::nat;                ///< else the targets answer by themselves
    bool repeats = true;   ///< dsr: without an entry, a connection keeps its target all the same
    bool full_nat = false; ///< the targets see an address of lb's own
};

enum class ModelKind { given, own, any };

struct ModelListener {
    std::size_t proxy = 0;
    u8 protocol = 6;
    u16 port = 80;
    ModelKind kind = ModelKind::given;
    Address address = {}; ///< of `given`
    std::set<std::string> interfaces = {"eth0"};
};

struct ModelFacts {
    std::vector<ModelListener> listeners = {};
    std::vector<ModelProxy> proxies = {};
    std::set<Address> own_addresses = {};
    bool loopback_targets = false;
    Address source4 = {}, source6 = {}; ///< this host's toward targets, for tunnels; no way is known to XDP
    std::size_t connections_max = 100000;
    std::set<Address> full_nat_sources = {}; ///< of both families
    u16 full_nat_first = 10000, full_nat_last = 29999;
};

struct Judgement {
    model::Reason reason = model::Reason::internal;
    Bytes frame = {};
    std::string fault = {}; ///< what is wrong with a free choice; empty: nothing
};

class Model {
public:
    explicit Model(ModelFacts facts) : facts_(std::move(facts)) {}

    /// `out`: what the program made of `frame`.
    Judgement ingress(const Bytes& frame, const std::string& interface, const Bytes& out);
    Judgement egress(const Bytes& frame);
    std::size_t connections() const { return table_.size() / 2; }

private:
    struct Entry {
        ModelTuple to = {};    ///< what the packet is to look like
        ModelTuple other = {}; ///< the key of the other direction
        bool reply = false;
        bool here = false; ///< of full NAT: a reply that is translated where it arrives
        u8 flags = 0;      ///< every TCP flag seen
        u64 packets = 0;
        ModelTunnel tunnel = {};
        ModelGroup group = {}; ///< of the tunnel
    };
    struct Datagram {
        Address saddr = {}, daddr = {}; ///< what its fragments are to have
        bool reply = false;
        ModelTuple carried = {}; ///< the connection, where the first one was carried
    };

    u8 family_of(const ModelListener& listener) const;
    ParseRules rules(bool ingress) const;
    bool ended(const Entry& forward) const;
    bool half_open(const ModelTuple& tuple, const Entry& forward) const;
    void take_place(const ModelTuple& tuple);
    static bool martian(const ModelTuple& tuple, ModelKind kind);
    bool has_room(u8 version, std::size_t more) const;
    bool full_nat(u8 version) const;
    bool may_be_ours(const Parsed& parsed) const;
    std::string check_full_nat(const ModelTuple& to) const;
    std::string check_nat(const ModelTuple& from, const ModelTuple& to) const;
    const ModelListener* listener_of(const ModelTuple& tuple, const std::string& interface) const;
    bool lets_in(const ModelProxy& proxy, const Address& client) const;
    const ModelGroup& group_of(const ModelProxy& proxy, const Address& client) const;
    std::string check_session(std::size_t proxy, const Address& client, const ModelGroup& group,
                              const ModelTarget& chosen);
    Judgement open(const Bytes& frame, const Parsed& parsed, const std::string& interface, const Bytes& out);
    Judgement carried(const Bytes& frame, const Parsed& parsed, Entry& entry, const Bytes& out) const;
    Judgement translated(const Bytes& frame, const Parsed& parsed, Entry& entry, const Bytes& out = {});
    Judgement later_fragment(const Bytes& frame, const Parsed& parsed, bool ingress, const Bytes& out = {});
    Judgement error_for_target(const Bytes& frame, const Parsed& parsed, const Bytes& out);
    Judgement error_for_client(const Bytes& frame, const Parsed& parsed) const;
    Judgement leaving(const Bytes& frame, const Parsed& parsed);

    ModelFacts facts_;
    std::map<ModelTuple, Entry> table_ = {};
    std::map<FragmentKey, Datagram> datagrams_ = {};
    std::map<u8, std::deque<ModelTuple>> newest_ = {}; ///< by IP version; the oldest first
    std::map<std::pair<std::size_t, Address>, ModelTarget> sessions_ = {}; ///< by proxy and client
};

} // namespace lb::test
