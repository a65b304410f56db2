#include "runtime/state.hpp"

#include <boost/json.hpp>
#include <filesystem>
#include <fstream>
#include <sstream>

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
    for (const auto& [name, setting] : object.at("settings").as_object())
        state.settings[std::string(name)] = {std::string(setting.at("before").as_string()),
                                             std::string(setting.at("after").as_string())};
    return state;
}

} // namespace

std::string run_folder(const std::string& instance) { return "/run/lb/" + instance; }

Result<State> load_state(const std::string& instance)
{
    std::ifstream file(state_file(instance));
    if (!file) return State{};
    std::stringstream text;
    text << file.rdbuf();
    try {
        return state_from(json::parse(text.str()));
    } catch (const std::exception& error) {
        return fail(ErrorKind::failure, "the record of an earlier run, " + state_file(instance) +
                                            ", cannot be read (" + error.what() +
                                            "): remove it; host settings it named stay as they are");
    }
}

Result<void> save_state(const std::string& instance, const State& state)
{
    json::object settings;
    for (const auto& [name, setting] : state.settings)
        settings[name] = json::object{{"before", setting.before}, {"after", setting.after}};
    json::array clsact(state.clsact_made.begin(), state.clsact_made.end());
    const json::object object{{"proxies", to_json(state.ids.proxies)},
                              {"targets", to_json(state.ids.targets)},
                              {"settings", settings},
                              {"clsact-made", clsact},
                              {"bpffs-mounted", state.bpffs_mounted}};
    std::error_code error;
    std::filesystem::create_directories(run_folder(instance), error);
    const std::string path = state_file(instance), fresh = path + ".new";
    {
        std::ofstream file(fresh, std::ios::trunc);
        file << json::serialize(object) << '\n';
        if (!file.flush())
            return fail(ErrorKind::host_not_ready, "writing " + fresh + " failed: is /run writable?");
    }
    std::filesystem::rename(fresh, path, error);
    if (error)
        return fail(ErrorKind::host_not_ready, "replacing " + path + ": " + error.message(), error.value());
    return {};
}

Result<void> remove_state(const std::string& instance)
{
    std::error_code error;
    std::filesystem::remove(state_file(instance), error);
    if (error)
        return fail(ErrorKind::failure, "removing " + state_file(instance) + ": " + error.message(),
                    error.value());
    return {};
}

} // namespace lb::runtime
