#include "cli.hpp"

#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <sstream>

namespace lb::cli_test {
namespace {

namespace fs = std::filesystem;

constexpr fs::perms for_everybody = fs::perms::owner_all | fs::perms::group_read | fs::perms::group_exec |
                                    fs::perms::others_read | fs::perms::others_exec;

std::string read(const fs::path& path)
{
    std::ifstream in(path, std::ios::binary);
    std::ostringstream text;
    text << in.rdbuf();
    return text.str();
}

std::string environment(const char* name)
{
    const char* value = std::getenv(name);
    if (value == nullptr) FAIL("the environment variable " << name << " is not set: run this by meson test");
    return value;
}

// A copy where nobody reaches it: the build folder may be in somebody's home.
const fs::path& program()
{
    static const fs::path path = [] {
        fs::permissions(lab::scratch(), for_everybody);
        const fs::path copy = lab::scratch() / "lb";
        fs::copy_file(environment("LB"), copy);
        fs::permissions(copy, for_everybody);
        return copy;
    }();
    return path;
}

} // namespace

fs::path folder_with(const std::vector<std::pair<std::string, std::string>>& files)
{
    static int serial = 0;
    fs::permissions(lab::scratch(), for_everybody);
    const fs::path folder = lab::scratch() / ("folder-" + std::to_string(++serial));
    fs::create_directory(folder);
    fs::permissions(folder, for_everybody);
    for (const auto& [name, content] : files) {
        std::ofstream(folder / name, std::ios::binary) << content;
        fs::permissions(folder / name, for_everybody);
    }
    return folder;
}

Said say(const lab::Argv& words, const Where& where)
{
    static constexpr const char* script =
        R"(cd "$1" && err="$2" && out="$3" && closed="$4" && shift 4 || exit 125
test -z "$closed" || chmod 000 . || exit 125
test -z "$out" || exec >"$out" || exit 125
exec "$@" 2>"$err")";
    const fs::path folder = where.folder.empty() ? folder_with({}) : where.folder;
    const fs::path err = lab::scratch() / "err";
    lab::Argv argv{
        "sh", "-c", script, "sh", folder.string(), err.string(), where.out, where.closed ? "yes" : ""};
    if (geteuid() == 0)
        for (const char* word : {"setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"})
            argv.emplace_back(word);
    argv.push_back(program().string());
    argv.insert(argv.end(), words.begin(), words.end());
    const auto output = lab::run(argv);
    if (where.closed) fs::permissions(folder, for_everybody);
    return {output.status, output.text, read(err)};
}

fs::path source_root() { return environment("LB_SOURCE"); }

void check_refused(const Said& said, int status, const std::string& message)
{
    CHECK(said.status == status);
    CHECK(said.out.empty());
    CHECK(said.err == "lb: " + message + "\n");
}

} // namespace lb::cli_test
