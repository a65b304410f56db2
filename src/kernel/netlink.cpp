#include "kernel/netlink.hpp"

#include "kernel/errors.hpp"

#include <sys/socket.h>

#include <cerrno>
#include <cstring>

namespace lb::kernel {

namespace {

constexpr std::size_t align(std::size_t size) { return (size + 3) / 4 * 4; }
constexpr std::size_t receive_bytes = 256 << 10; // more than the kernel puts into one dump message
constexpr int socket_buffer_bytes = 1 << 20;     // a burst of changes that the monitor may sleep through

/// One message out of a datagram; takes it from the front of `bytes`. False: nothing whole is left.
bool take_message(std::span<const u8>& bytes, nlmsghdr& header, std::span<const u8>& payload)
{
    if (bytes.size() < sizeof(nlmsghdr)) return false;
    header = read_as<nlmsghdr>(bytes);
    if (header.nlmsg_len < sizeof(nlmsghdr) || header.nlmsg_len > bytes.size()) return false;
    payload = bytes.subspan(sizeof(nlmsghdr), header.nlmsg_len - sizeof(nlmsghdr));
    bytes = bytes.subspan(std::min(align(header.nlmsg_len), bytes.size()));
    return true;
}

/// The kernel's answer to a request: nothing, or the errno with the text that came along.
Result<void> read_answer(const nlmsghdr& header, std::span<const u8> payload)
{
    const int code = read_as<int>(payload);
    if (code == 0) return {};
    std::string text;
    // With NETLINK_CAP_ACK only the header of the request is repeated, then come attributes.
    if ((header.nlmsg_flags & NLM_F_ACK_TLVS) != 0 && payload.size() > sizeof(nlmsgerr))
        for_each_attribute(payload.subspan(sizeof(nlmsgerr)), [&](u16 type, std::span<const u8> value) {
            if (type == NLMSGERR_ATTR_MSG) text = read_text(value);
        });
    return std::unexpected(sys_error("netlink request", -code, text));
}

} // namespace

NetlinkMessage::NetlinkMessage(u16 type, u16 flags)
{
    nlmsghdr header{};
    header.nlmsg_type = type;
    header.nlmsg_flags = static_cast<u16>(flags | NLM_F_REQUEST);
    append(&header, sizeof(header));
}

NetlinkMessage& NetlinkMessage::append(const void* data, std::size_t size)
{
    const auto* from = static_cast<const u8*>(data);
    bytes_.insert(bytes_.end(), from, from + size);
    bytes_.resize(align(bytes_.size()));
    return *this;
}

NetlinkMessage& NetlinkMessage::attribute(u16 type, const void* data, std::size_t size)
{
    nlattr header{.nla_len = static_cast<u16>(sizeof(nlattr) + size), .nla_type = type};
    append(&header, sizeof(header));
    return append(data, size);
}

NetlinkMessage& NetlinkMessage::attribute(u16 type, std::string_view text)
{
    const std::string with_end(text);
    return attribute(type, with_end.c_str(), with_end.size() + 1);
}

std::size_t NetlinkMessage::open_nested(u16 type)
{
    const std::size_t at = bytes_.size();
    nlattr header{.nla_len = sizeof(nlattr), .nla_type = static_cast<u16>(type | NLA_F_NESTED)};
    append(&header, sizeof(header));
    return at;
}

void NetlinkMessage::close_nested(std::size_t at)
{
    const auto size = static_cast<u16>(bytes_.size() - at);
    std::memcpy(bytes_.data() + at + offsetof(nlattr, nla_len), &size, sizeof(size));
}

std::span<u8> NetlinkMessage::finish(u32 sequence)
{
    const auto size = static_cast<u32>(bytes_.size());
    std::memcpy(bytes_.data() + offsetof(nlmsghdr, nlmsg_len), &size, sizeof(size));
    std::memcpy(bytes_.data() + offsetof(nlmsghdr, nlmsg_seq), &sequence, sizeof(sequence));
    return bytes_;
}

void for_each_attribute(std::span<const u8> attributes,
                        const std::function<void(u16, std::span<const u8>)>& each)
{
    while (attributes.size() >= sizeof(nlattr)) {
        const auto header = read_as<nlattr>(attributes);
        if (header.nla_len < sizeof(nlattr) || header.nla_len > attributes.size()) return;
        each(static_cast<u16>(header.nla_type & NLA_TYPE_MASK),
             attributes.subspan(sizeof(nlattr), header.nla_len - sizeof(nlattr)));
        attributes = attributes.subspan(std::min(align(header.nla_len), attributes.size()));
    }
}

std::string read_text(std::span<const u8> payload)
{
    std::string text(payload.begin(), payload.end());
    return text.substr(0, text.find('\0'));
}

Result<NetlinkSocket> NetlinkSocket::open(u32 groups, int protocol)
{
    const char* doing = "opening a netlink socket";
    NetlinkSocket socket;
    socket.fd_ = Fd(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol));
    if (!socket.fd_) return sys_fail(doing, errno);
    const int on = 1;
    ::setsockopt(socket.fd(), SOL_NETLINK, NETLINK_EXT_ACK, &on, sizeof(on));
    ::setsockopt(socket.fd(), SOL_NETLINK, NETLINK_CAP_ACK, &on, sizeof(on));
    ::setsockopt(socket.fd(), SOL_SOCKET, SO_RCVBUF, &socket_buffer_bytes, sizeof(socket_buffer_bytes));
    sockaddr_nl address{};
    address.nl_family = AF_NETLINK;
    address.nl_groups = groups;
    if (::bind(socket.fd(), static_cast<sockaddr*>(static_cast<void*>(&address)), sizeof(address)) != 0)
        return sys_fail(doing, errno);
    return socket;
}

Result<void> NetlinkSocket::request(NetlinkMessage& message, const Handler& each)
{
    const u32 sequence = ++sequence_;
    const auto bytes = message.finish(sequence);
    if (::send(fd(), bytes.data(), bytes.size(), 0) < 0)
        return std::unexpected(sys_error("netlink request", errno));
    std::vector<u8> buffer(receive_bytes);
    bool interrupted = false;
    for (;;) {
        ssize_t size = ::recv(fd(), buffer.data(), buffer.size(), 0);
        if (size < 0 && errno == EINTR) continue;
        if (size < 0) return std::unexpected(sys_error("netlink answer", errno));
        std::span<const u8> rest(buffer.data(), static_cast<std::size_t>(size));
        nlmsghdr header{};
        std::span<const u8> payload;
        while (take_message(rest, header, payload)) {
            if (header.nlmsg_seq != sequence) continue;
            if ((header.nlmsg_flags & NLM_F_DUMP_INTR) != 0) interrupted = true;
            if (header.nlmsg_type == NLMSG_ERROR) return read_answer(header, payload);
            if (header.nlmsg_type == NLMSG_DONE) {
                // What was listed changed meanwhile: parts of it may be missing.
                if (interrupted) return std::unexpected(sys_error("netlink answer", EINTR));
                return read_answer(header, payload);
            }
            if (each) each(header.nlmsg_type, payload);
        }
    }
}

Result<void> NetlinkSocket::dump(NetlinkMessage& message, const std::function<void()>& restart,
                                 const Handler& each)
{
    constexpr int attempts_max = 10;
    for (int attempt = 1;; ++attempt) {
        restart();
        auto done = request(message, each);
        if (done || done.error().sys_errno != EINTR || attempt == attempts_max) return done;
    }
}

Result<void> NetlinkSocket::drain(const Handler& each)
{
    std::vector<u8> buffer(receive_bytes);
    for (;;) {
        ssize_t size = ::recv(fd(), buffer.data(), buffer.size(), MSG_DONTWAIT);
        if (size < 0 && errno == EINTR) continue;
        if (size < 0 && errno == EAGAIN) return {};
        if (size < 0) return std::unexpected(sys_error("hearing of changes", errno));
        std::span<const u8> rest(buffer.data(), static_cast<std::size_t>(size));
        nlmsghdr header{};
        std::span<const u8> payload;
        while (take_message(rest, header, payload)) each(header.nlmsg_type, payload);
    }
}

} // namespace lb::kernel
