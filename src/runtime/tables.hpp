// The maps of a running balancer: made or adopted, filled from the plan, pinned.
#pragma once

#include "datapath/maps.hpp"
#include "kernel/bpffs.hpp"
#include "kernel/interfaces.hpp"
#include "kernel/map.hpp"
#include "kernel/program.hpp"

#include <span>

namespace lb::runtime {

class Tables {
public:
    /// Makes every map and fills it from the plan. The flow table of an earlier run is taken over from its
    /// pin where its layout fits; where only its size differs, its entries are copied.
    static Result<Tables> create(const model::Plan& plan, const datapath::Maps& maps,
                                 const kernel::PinFolder& pins);

    /// Pins all of them, in place of those of an earlier run.
    Result<void> pin(const kernel::PinFolder& pins) const;
    /// Makes the own-address map say what the host has now. Loopback addresses count only where `lo` is
    /// listened on.
    Result<void> set_own_addresses(std::span<const kernel::HostAddress> addresses, bool with_loopback) const;

    bool has(const std::string& name) const { return maps_.contains(name); }
    const kernel::Map& operator[](const std::string& name) const { return maps_.at(name); }
    /// Fds by name, for the loader.
    kernel::Resolver resolver() const;

private:
    Result<void> fill(const model::Plan& plan) const;
    Result<void> fill_pool(const model::Plan& plan) const;
    Result<void> put_by_source(const std::string& map, u32 proxy, const Prefix& source, u32 value) const;
    Result<void> fill_groups(const model::Plan& plan) const;

    std::map<std::string, kernel::Map> maps_ = {};
};

/// Puts the programs into the map by which others go on to them.
Result<void> link_followers(const kernel::Map& programs, const kernel::Program& siit,
                            const kernel::Program& ingress);

/// The pinned name of a map; the flow table's says its layout's version.
std::string pin_name(const std::string& map);

} // namespace lb::runtime
