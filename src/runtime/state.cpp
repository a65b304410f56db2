#include "runtime/state.hpp"

#include "runtime/record_file.hpp"

namespace lb::runtime {
namespace {

namespace json = boost::json;

std::string state_file(const std::string& instance) { return run_folder(instance) + "/state.json"; }

json::object to_json(const std::map<std::string, u32>& ids)
{
    json::object object;
    for (const auto& [name, id] : ids) object[name] = id;
    return object;
}

std::map<std::string, u32> ids_from(const json::value& value)
{
    std::map<std::string, u32> ids;
    for (const auto& [name, id] : value.as_object()) ids[std::string(name)] = id.to_number<u32>();
    return ids;
}

State state_from(const json::value& value)
{
    const auto& object = value.as_object();
    State state;
    state.ids.proxies = ids_from(object.at("proxies"));
    state.ids.targets = ids_from(object.at("targets"));
    state.bpffs_mounted = object.at("bpffs-mounted").as_bool();
    for (const auto& each : object.at("clsact-made").as_array())
        state.clsact_made.push_back(each.to_number<u32>());
    return state;
}

} // namespace

std::string run_folder(const std::string& instance) { return records_folder + ("/" + instance); }

Result<State> load_state(const std::string& instance)
{
    const auto content = read_record(state_file(instance));
    if (!content) return std::unexpected(content.error());
    if (!*content) return State{};
    try {
        return state_from(**content);
    } catch (const std::exception& error) {
        return unreadable_record(state_file(instance), error.what());
    }
}

Result<void> save_state(const std::string& instance, const State& state)
{
    const json::array clsact(state.clsact_made.begin(), state.clsact_made.end());
    return write_record(state_file(instance), json::object{{"proxies", to_json(state.ids.proxies)},
                                                           {"targets", to_json(state.ids.targets)},
                                                           {"clsact-made", clsact},
                                                           {"bpffs-mounted", state.bpffs_mounted}});
}

Result<void> remove_state(const std::string& instance) { return remove_record(state_file(instance)); }

} // namespace lb::runtime
