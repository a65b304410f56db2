// The BPF file system and the folder of pins that one instance has in it: <bpffs>/lb/<instance>. What is
// pinned there keeps maps and links alive when the process dies, and is found by the next one. Values; one
// thread per instance.
#pragma once

#include <string>
#include <vector>

#include "lb/base/result.hpp"

namespace lb::kernel {

inline constexpr const char* bpffs_default = "/sys/fs/bpf";

enum class Mounted { was_there, by_us };
/// Makes sure that a bpffs is mounted at `path`.
Result<Mounted> ensure_bpffs(const std::string& path = bpffs_default);
/// Unmounts it where nothing of anybody is in it any more; false: left as it is. A pin does not keep its
/// mount, so without the question everybody else's would be gone.
Result<bool> unmount_bpffs_if_empty(const std::string& path = bpffs_default);
/// True where `path` is in a bpffs.
bool is_bpffs(const std::string& path);

class PinFolder {
public:
    /// Makes the folder (mode 0700) where it is not there. The bpffs must be mounted.
    static Result<PinFolder> create(const std::string& instance, const std::string& bpffs = bpffs_default);
    /// The folder, whether it exists or not: for reading what an earlier run left.
    static PinFolder at(const std::string& instance, const std::string& bpffs = bpffs_default);

    const std::string& path() const { return path_; }
    /// True also where this process may not look.
    bool exists() const;
    /// The path of a pin. Names have [A-Za-z0-9_-] only: the kernel refuses a dot.
    std::string path_of(const std::string& name) const { return path_ + "/" + name; }
    bool has(const std::string& name) const;
    /// Names of the pins, sorted; empty where the folder is not there.
    Result<std::vector<std::string>> list() const;
    /// False: there was no such pin.
    Result<bool> remove(const std::string& name) const;
    /// Removes every pin and the folder.
    Result<void> remove_all() const;

private:
    explicit PinFolder(std::string path) : path_(std::move(path)) {}
    std::string path_;
};

/// The instances that have a folder.
Result<std::vector<std::string>> list_instances(const std::string& bpffs = bpffs_default);

} // namespace lb::kernel
