#include "kernel/object.hpp"

#include "kernel/errors.hpp"

#include <bpf/bpf.h>
#include <cerrno>
#include <fstream>
#include <string_view>

namespace lb::kernel {

namespace {

struct Kind {
    const char* name;
    std::string_view mark; // the line that /proc/PID/fdinfo has for this kind only
};

Kind describe(Object kind)
{
    switch (kind) {
    case Object::map:
        return {"map", "map_type:"};
    case Object::program:
        return {"program", "prog_type:"};
    case Object::link:
        return {"link", "link_type:"};
    }
    return {"object", ""};
}

/// The first line of its own that an fd's description has is the one that tells its kind: links name their
/// program further below. Where /proc cannot be read, the pin is taken for what it was asked as.
bool is_kind(const Fd& fd, const Kind& kind)
{
    std::ifstream file("/proc/self/fdinfo/" + std::to_string(fd.get()));
    if (!file) return true;
    for (std::string line; std::getline(file, line);)
        if (line.find("_type:") != std::string::npos) return line.starts_with(kind.mark);
    return false;
}

} // namespace

Result<Fd> open_pin(const std::string& path, Object object)
{
    const Kind kind = describe(object);
    const std::string doing = std::string("opening the pinned ") + kind.name + " " + path;
    Fd fd(bpf_obj_get(path.c_str()));
    if (!fd) return sys_fail(doing, errno);
    if (!is_kind(fd, kind)) return sys_fail(doing, EINVAL, std::string("it is not a ") + kind.name);
    return fd;
}

} // namespace lb::kernel
