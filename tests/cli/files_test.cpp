// Configuration files as the command finds and reads them.
#include "cli.hpp"

#include <fstream>
#include <sstream>

using namespace lb::cli_test;
namespace fs = std::filesystem;

namespace {

const std::string one_proxy = R"({"proxies": [{"name": "web", "listen": {"interfaces": ["eth0"], "port": 80,
    "protocol": "tcp"}, "default-target": {"ip": "10.0.0.1", "port": 8080}}]})";
const std::string two_proxies = R"({"proxies": [
    {"name": "a", "listen": {"interfaces": ["eth0"], "port": 80}, "default-target": {"ip": "10.0.0.1", "port": 80}},
    {"name": "b", "listen": {"interfaces": ["eth0"], "port": 81}, "default-target": {"ip": "10.0.0.1", "port": 81}}]})";

// Where nobody may read it: the project may be in somebody's home.
fs::path readable_copy(const fs::path& folder)
{
    std::vector<std::pair<std::string, std::string>> files;
    for (const auto& entry : fs::directory_iterator(folder)) {
        std::ostringstream text;
        text << std::ifstream(entry.path(), std::ios::binary).rdbuf();
        files.emplace_back(entry.path().filename().string(), text.str());
    }
    return folder_with(files);
}

void check_good(const Said& said, const std::string& figures)
{
    CHECK(said.status == ok);
    CHECK(said.err.empty());
    CHECK(said.out == "ok: " + figures + "\n");
}

} // namespace

TEST_CASE("without a file and without flags an interface is asked for", "[cli]")
{
    const std::string message =
        "-i is required without a configuration file: the interface that connections arrive at";
    check_refused(say({"check"}), usage, message);
    check_refused(say({"dump"}), usage, message);
    check_refused(say({"check", "-p", "80", "-t", "10.0.0.1:80"}), usage, message);
    check_refused(say({}), usage, message); // run
}

TEST_CASE("lb.json of the working folder is taken where no other is named", "[cli]")
{
    const fs::path folder = folder_with({{"lb.json", one_proxy}, {"other.json", two_proxies}});
    check_good(say({"check"}, {.folder = folder}), "1 proxies, 1 listeners, 1 targets, 0 source routes");
    check_good(say({"check", "-c", "other.json"}, {.folder = folder}),
               "2 proxies, 4 listeners, 2 targets, 0 source routes");
    check_good(say({"check", "-p", "81"}, {.folder = folder}),
               "1 proxies, 1 listeners, 1 targets, 0 source routes");
    check_refused(
        say({"check", "-p", "82", "-c", "other.json"}, {.folder = folder}), usage,
        "-i, -p and -t change the file's proxy where it has exactly one; this one has 2: change the file "
        "instead");
    // A wrong one is an error, although -i alone would make a configuration.
    check_refused(say({"check", "-i", "eth0"}, {.folder = folder_with({{"lb.json", "[]"}})}), config,
                  "lb.json:1:1: []: expected an object");
}

TEST_CASE("a wrong configuration is refused with its place, before anything is done", "[cli]")
{
    const fs::path folder = folder_with({{"x.json", "{\"proxies\": [\n  {\"name\": 5}]}"}});
    const std::string message =
        "x.json:2:3: proxies[0].listen: missing: expected an object with interfaces and port\n"
        "x.json:2:3: proxies[0].default-target: missing: expected a target or a list of targets\n"
        "x.json:2:12: proxies[0].name: 5: expected a name";
    for (const char* command : {"check", "dump", "verify", "run"})
        check_refused(say({command, "-c", "x.json"}, {.folder = folder}), config, message);
}

TEST_CASE("a file that cannot be read is refused with the reason", "[cli]")
{
    check_refused(say({"check", "-c", "no.json"}), config,
                  "no.json: cannot be read: No such file or directory");
    const fs::path folder = folder_with({{"secret.json", one_proxy}});
    fs::create_directory(folder / "folder");
    fs::permissions(folder / "secret.json", fs::perms::none);
    check_refused(say({"check", "-c", "secret.json"}, {.folder = folder}), config,
                  "secret.json: cannot be read: Permission denied");
    check_refused(say({"check", "-c", "folder"}, {.folder = folder}), config,
                  "folder: is a folder: expected a file");
}

TEST_CASE("a file without an end is not read to its end", "[cli]")
{
    check_refused(say({"check", "-c", "/dev/zero"}), config, "/dev/zero:1:1: the text is longer than 64 MiB");
}

TEST_CASE("a working folder that may not be looked into is said to be one", "[cli]")
{
    const fs::path folder = folder_with({{"lb.json", one_proxy}});
    // Entered while it was allowed, as by a command that changes the user.
    check_refused(say({"check", "-i", "eth0"}, {.folder = folder, .closed = true}), config,
                  "lb.json: cannot be looked for here: Permission denied; name a file with -c");
}

TEST_CASE("every example of configs passes", "[cli]")
{
    int examples = 0;
    const fs::path configs = readable_copy(source_root() / "configs");
    for (const auto& entry : fs::directory_iterator(configs)) {
        if (entry.path().extension() != ".json") continue;
        INFO(entry.path());
        const Said said = say({"check", "-c", entry.path().filename().string()}, {.folder = configs});
        CHECK(said.status == ok);
        CHECK(said.err.empty());
        CHECK(said.out.starts_with("ok: "));
        ++examples;
    }
    CHECK(examples >= 5);
}
