#include "kernel/map.hpp"

#include "kernel/errors.hpp"
#include "kernel/object.hpp"
#include "lb/asm/btf.hpp"

#include <bpf/bpf.h>
#include <cerrno>
#include <charconv>
#include <fcntl.h>
#include <fstream>
#include <linux/bpf.h>

namespace lb::kernel {

namespace {

/// Last number of a list such as `0-3` or `0,2-5`, plus one.
Result<u32> count_cpus()
{
    const char* path = "/sys/devices/system/cpu/possible";
    std::ifstream file(path);
    std::string text;
    if (!std::getline(file, text)) return sys_fail(std::string("reading ") + path, errno);
    std::size_t start = text.find_last_of(",-");
    start = start == std::string::npos ? 0 : start + 1;
    u32 last = 0;
    auto parsed = std::from_chars(text.data() + start, text.data() + text.size(), last);
    if (parsed.ec != std::errc{})
        return fail(ErrorKind::failure,
                    std::string(path) + " reads '" + text + "', which is no list of CPUs");
    return last + 1;
}

Result<MapInfo> read_info(int fd, const std::string& what)
{
    bpf_map_info info{};
    u32 size = sizeof(info);
    if (bpf_obj_get_info_by_fd(fd, &info, &size) != 0) return sys_fail("reading what " + what + " is", errno);
    return MapInfo{.id = info.id,
                   .name = info.name,
                   .type = static_cast<bpf::MapType>(info.type),
                   .key_size = info.key_size,
                   .value_size = info.value_size,
                   .max_entries = info.max_entries,
                   .flags = info.map_flags,
                   .btf_id = info.btf_id};
}

/// What the kernel makes of the flags and the size that were asked for.
bpf::MapSpec as_created(bpf::MapSpec spec, u32 cpus)
{
    // Device maps are read-only for programs, whether that was asked for or not.
    if (spec.type == bpf::MapType::devmap_hash) spec.flags |= BPF_F_RDONLY_PROG;
    // With an LRU list per CPU, entries are a multiple of the CPUs.
    if ((spec.flags & BPF_F_NO_COMMON_LRU) != 0)
        spec.max_entries = (spec.max_entries + cpus - 1) / cpus * cpus;
    return spec;
}

Result<Fd> create_fd(const bpf::MapSpec& spec, const Map* inner)
{
    bpf_map_create_opts options{};
    options.sz = sizeof(options);
    options.map_flags = spec.flags;
    if (inner) options.inner_map_fd = static_cast<u32>(inner->fd());

    Fd btf;
    if (auto types = bpf::map_btf(spec); types && !inner) {
        btf = Fd(bpf_btf_load(types->blob.data(), types->blob.size(), nullptr));
        if (btf) {
            options.btf_fd = static_cast<u32>(btf.get());
            options.btf_key_type_id = types->key_type_id;
            options.btf_value_type_id = types->value_type_id;
        }
    }
    auto create = [&] {
        return bpf_map_create(static_cast<bpf_map_type>(spec.type), spec.name.c_str(), spec.key_size,
                              spec.value_size, spec.max_entries, &options);
    };
    Fd fd(create());
    if (!fd && btf) {
        // BTF only names things for a person: a kernel that refuses it for this type still gets the map.
        options.btf_fd = options.btf_key_type_id = options.btf_value_type_id = 0;
        fd = Fd(create());
    }
    if (!fd) return sys_fail("creating map '" + spec.name + "'", errno);
    return fd;
}

void note_difference(std::string& all, const char* what, u64 is, u64 wanted)
{
    if (is == wanted) return;
    if (!all.empty()) all += ", ";
    all += std::string(what) + " " + std::to_string(is) + " instead of " + std::to_string(wanted);
}

} // namespace

Result<u32> possible_cpus()
{
    static const Result<u32> cpus = count_cpus();
    return cpus;
}

Result<Map> Map::adopt(Fd fd, const std::string& what)
{
    auto info = read_info(fd.get(), what);
    if (!info) return std::unexpected(info.error());
    auto cpus = possible_cpus();
    if (!cpus) return std::unexpected(cpus.error());
    return Map(std::move(fd), std::move(*info), *cpus);
}

Result<Map> Map::create(const bpf::MapSpec& spec, const Map* inner)
{
    if (spec.name.size() >= BPF_OBJ_NAME_LEN)
        return sys_fail("creating map '" + spec.name + "'", EINVAL, "a name has at most 15 bytes");
    auto fd = create_fd(spec, inner);
    if (!fd) return std::unexpected(fd.error());
    return adopt(std::move(*fd), "map '" + spec.name + "'");
}

Result<Map> Map::create(const bpf::MapSpec& spec, const bpf::MapSpec& inner)
{
    auto sample = create(inner);
    if (!sample) return context(sample.error(), "creating map '" + spec.name + "'");
    return create(spec, &*sample);
}

Result<Map> Map::open_pinned(const std::string& path)
{
    auto fd = open_pin(path, Object::map);
    if (!fd) return std::unexpected(fd.error());
    return adopt(std::move(*fd), path);
}

Result<Map> Map::open_pinned(const std::string& path, const bpf::MapSpec& spec)
{
    auto map = open_pinned(path);
    if (!map) return map;
    if (auto same = map->matches(spec); !same) return context(same.error(), path);
    return map;
}

Result<Map> Map::open_id(u32 id)
{
    Fd fd(bpf_map_get_fd_by_id(id));
    if (!fd) return sys_fail("opening map id " + std::to_string(id), errno);
    return adopt(std::move(fd), "map id " + std::to_string(id));
}

Result<void> Map::matches(const bpf::MapSpec& asked) const
{
    bpf::MapSpec spec = as_created(asked, cpus_);
    std::string all;
    note_difference(all, "type", static_cast<u64>(info_.type), static_cast<u64>(spec.type));
    note_difference(all, "key size", info_.key_size, spec.key_size);
    note_difference(all, "value size", info_.value_size, spec.value_size);
    note_difference(all, "entries", info_.max_entries, spec.max_entries);
    note_difference(all, "flags", info_.flags, spec.flags);
    if (all.empty()) return {};
    return sys_fail("map '" + info_.name + "' is not the map '" + spec.name + "' of this version", EINVAL,
                    all);
}

Result<void> Map::pin(const std::string& path) const
{
    if (bpf_obj_pin(fd(), path.c_str()) != 0)
        return std::unexpected(sys_error("pinning map '" + info_.name + "' at " + path, errno));
    return {};
}

Result<Map> Map::duplicate() const
{
    Fd copy(::fcntl(fd(), F_DUPFD_CLOEXEC, 3));
    if (!copy) return std::unexpected(error("copying the fd of", errno));
    return Map(std::move(copy), info_, cpus_);
}

bool Map::per_cpu() const
{
    auto type = static_cast<u32>(info_.type);
    return type == BPF_MAP_TYPE_PERCPU_HASH || type == BPF_MAP_TYPE_PERCPU_ARRAY ||
           type == BPF_MAP_TYPE_LRU_PERCPU_HASH;
}

std::size_t Map::value_bytes() const
{
    if (!per_cpu()) return info_.value_size;
    return static_cast<std::size_t>(info_.value_size + 7) / 8 * 8 * cpus_;
}

Error Map::error(const char* doing, int sys_errno) const
{
    std::string hint;
    if (sys_errno == E2BIG) hint = "its " + std::to_string(info_.max_entries) + " entries are taken";
    return sys_error(std::string(doing) + " map '" + info_.name + "'", sys_errno, hint);
}

Result<void> Map::check_sizes(std::size_t key, std::size_t value) const
{
    if (key == info_.key_size && value == value_bytes()) return {};
    return sys_fail("map '" + info_.name + "' has keys of " + std::to_string(info_.key_size) +
                        " and values of " + std::to_string(value_bytes()) + " bytes, not of " +
                        std::to_string(key) + " and " + std::to_string(value),
                    0);
}

Result<bool> Map::lookup_raw(const void* key, void* value) const
{
    if (bpf_map_lookup_elem(fd(), key, value) == 0) return true;
    if (errno == ENOENT) return false;
    return std::unexpected(error("reading", errno));
}

Result<void> Map::update_raw(const void* key, const void* value, Update mode) const
{
    if (bpf_map_update_elem(fd(), key, value, static_cast<u64>(mode)) == 0) return {};
    return std::unexpected(error("updating", errno));
}

Result<bool> Map::remove_raw(const void* key) const
{
    if (bpf_map_delete_elem(fd(), key) == 0) return true;
    if (errno == ENOENT) return false;
    return std::unexpected(error("removing a key from", errno));
}

Result<bool> Map::take_raw(const void* key, void* value) const
{
    if (bpf_map_lookup_and_delete_elem(fd(), key, value) == 0) return true;
    if (errno == ENOENT) return false;
    return std::unexpected(error("taking a key from", errno));
}

Result<bool> Map::next_key_raw(const void* key, void* next) const
{
    if (bpf_map_get_next_key(fd(), key, next) == 0) return true;
    if (errno == ENOENT) return false;
    return std::unexpected(error("walking", errno));
}

} // namespace lb::kernel
