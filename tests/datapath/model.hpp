// What lb ought to do with a frame, written from the README and the RFCs and apart from src/datapath: its own
// parsing, its own table of connections, checksums computed from scratch. Numbers are in host order. Where lb
// is free to choose (which target of a group, which source port for a look-alike), the choice is read off the
// frame that came out, and held to its rules. One thread.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "lab/packet.hpp"
#include "model/reason.hpp"

namespace lb::test {

using lab::Bytes;
using lab::u16;
using lab::u32;
using lab::u64;
using lab::u8;

struct ModelTarget {
    u32 ip = 0;
    u16 port = 0;
    friend auto operator<=>(const ModelTarget&, const ModelTarget&) = default;
};
using ModelGroup = std::vector<ModelTarget>; ///< those with a weight above 0

struct ModelRoute {
    u32 network = 0;
    u8 length = 0;
    ModelGroup group = {};
};

struct ModelProxy {
    ModelGroup group = {};
    std::vector<ModelRoute> routes = {};
};

enum class ModelKind { given, own, any };

struct ModelListener {
    std::size_t proxy = 0;
    u8 protocol = 6;
    u16 port = 80;
    ModelKind kind = ModelKind::given;
    u32 address = 0; ///< of `given`
    std::set<std::string> interfaces = {"eth0"};
};

struct ModelFacts {
    std::vector<ModelListener> listeners = {};
    std::vector<ModelProxy> proxies = {};
    std::set<u32> own_addresses = {};
    bool loopback_targets = false;
    std::size_t connections_max = 100000;
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
    struct Tuple {
        u32 saddr = 0, daddr = 0;
        u16 sport = 0, dport = 0;
        u8 protocol = 0;
        friend auto operator<=>(const Tuple&, const Tuple&) = default;
    };
    struct Entry {
        Tuple to = {};    ///< what the packet is to look like
        Tuple other = {}; ///< the key of the other direction
        bool reply = false;
        u8 flags = 0; ///< every TCP flag seen
    };
    struct Parsed {
        model::Reason reason = model::Reason::internal; ///< where it is not of interest
        bool whole = false;
        Tuple tuple = {};
        u8 flags = 0;
    };

    Parsed parse(const Bytes& frame, bool ingress) const;
    bool listens(u8 protocol) const;
    bool ended(const Entry& forward) const;
    const ModelListener* listener_of(const Tuple& tuple, const std::string& interface) const;
    const ModelGroup& group_of(const ModelProxy& proxy, u32 client) const;
    Judgement open(const Bytes& frame, const Parsed& parsed, const std::string& interface, const Bytes& out);
    static Bytes rewritten(const Bytes& frame, const Tuple& to);
    static Tuple tuple_of(const Bytes& frame);

    ModelFacts facts_;
    std::map<Tuple, Entry> table_ = {};
};

} // namespace lb::test
