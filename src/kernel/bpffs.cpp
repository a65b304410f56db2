#include "kernel/bpffs.hpp"

#include "kernel/errors.hpp"

#include <dirent.h>
#include <linux/magic.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <memory>

namespace lb::kernel {

namespace {

// The kernel refuses names with a dot in a bpffs, folders included, and instances may have one: it is written
// as %2e.
constexpr std::string_view dot = "%2e";

std::string folder_name(const std::string& instance)
{
    std::string name;
    for (char c : instance) name += c == '.' ? std::string(dot) : std::string(1, c);
    return name;
}

std::string instance_name(std::string folder)
{
    for (std::size_t at; (at = folder.find(dot)) != std::string::npos;) folder.replace(at, dot.size(), ".");
    return folder;
}

Result<std::vector<std::string>> list_folder(const std::string& path)
{
    std::vector<std::string> names;
    std::unique_ptr<DIR, int (*)(DIR*)> folder(::opendir(path.c_str()), &::closedir);
    if (!folder && errno == ENOENT) return names;
    if (!folder) return sys_fail("reading the folder " + path, errno);
    while (const dirent* entry = ::readdir(folder.get())) {
        std::string name = entry->d_name;
        if (name != "." && name != "..") names.push_back(std::move(name));
    }
    std::sort(names.begin(), names.end());
    return names;
}

Result<void> make_folder(const std::string& path)
{
    if (::mkdir(path.c_str(), 0700) != 0 && errno != EEXIST)
        return std::unexpected(sys_error("making the folder " + path, errno));
    return {};
}

} // namespace

bool is_bpffs(const std::string& path)
{
    struct statfs fs {};
    return ::statfs(path.c_str(), &fs) == 0 && static_cast<unsigned>(fs.f_type) == BPF_FS_MAGIC;
}

Result<Mounted> ensure_bpffs(const std::string& path)
{
    if (is_bpffs(path)) return Mounted::was_there;
    if (::mount("bpffs", path.c_str(), "bpf", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=0700") != 0)
        return sys_fail("mounting a bpffs at " + path, errno,
                        errno == ENOENT ? "the folder is not there" : std::string());
    return Mounted::by_us;
}

Result<bool> unmount_bpffs_if_empty(const std::string& path)
{
    if (!is_bpffs(path)) return false;
    const auto names = list_folder(path);
    if (!names) return std::unexpected(names.error());
    // The kernel's own iterators (CONFIG_BPF_PRELOAD) are nobody's.
    const auto pinned = [](const std::string& name) { return name != "maps.debug" && name != "progs.debug"; };
    if (std::ranges::any_of(*names, pinned)) return false;
    if (::umount2(path.c_str(), 0) == 0) return true;
    if (errno == EBUSY) return false; // somebody is about to use it
    return sys_fail("unmounting the bpffs at " + path, errno);
}

PinFolder PinFolder::at(const std::string& instance, const std::string& bpffs)
{
    return PinFolder(bpffs + "/lb/" + folder_name(instance));
}

Result<PinFolder> PinFolder::create(const std::string& instance, const std::string& bpffs)
{
    if (!is_bpffs(bpffs))
        return fail(ErrorKind::host_not_ready,
                    bpffs + " is not a bpffs: mount it with 'mount -t bpf bpffs " + bpffs + "'", ENOENT);
    if (auto made = make_folder(bpffs + "/lb"); !made) return std::unexpected(made.error());
    PinFolder folder = at(instance, bpffs);
    if (auto made = make_folder(folder.path()); !made) return std::unexpected(made.error());
    return folder;
}

bool PinFolder::exists() const { return ::access(path_.c_str(), F_OK) == 0 || errno == EACCES; }
bool PinFolder::has(const std::string& name) const { return ::access(path_of(name).c_str(), F_OK) == 0; }
Result<std::vector<std::string>> PinFolder::list() const { return list_folder(path_); }

Result<bool> PinFolder::remove(const std::string& name) const
{
    if (::unlink(path_of(name).c_str()) == 0) return true;
    if (errno == ENOENT) return false;
    return sys_fail("removing the pin " + path_of(name), errno);
}

Result<void> PinFolder::remove_all() const
{
    auto names = list();
    if (!names) return std::unexpected(names.error());
    for (const auto& name : *names)
        if (auto removed = remove(name); !removed) return std::unexpected(removed.error());
    if (::rmdir(path_.c_str()) != 0 && errno != ENOENT)
        return std::unexpected(sys_error("removing the folder " + path_, errno));
    // The common parent goes with the last instance; while there are others this fails, as it should.
    ::rmdir(path_.substr(0, path_.rfind('/')).c_str());
    return {};
}

Result<std::vector<std::string>> list_instances(const std::string& bpffs)
{
    auto names = list_folder(bpffs + "/lb");
    if (!names) return names;
    for (auto& name : *names) name = instance_name(std::move(name));
    return names;
}

} // namespace lb::kernel
