#include "lab/socket.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <openssl/evp.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <random>
#include <thread>

#include "lab/netns.hpp"

namespace lb::lab {

Fd::~Fd()
{
    if (fd_ >= 0) ::close(fd_);
}

SocketAddress::SocketAddress(const std::string& text)
{
    const auto colon = text.rfind(':');
    if (colon == std::string::npos) throw LabError("'" + text + "' is not ADDRESS:PORT");
    const auto port = htons(static_cast<u16>(std::stoul(text.substr(colon + 1))));
    sockaddr_in v4{};
    sockaddr_in6 v6{};
    if (text.front() == '[') {
        v6.sin6_family = AF_INET6;
        v6.sin6_port = port;
        if (::inet_pton(AF_INET6, text.substr(1, colon - 2).c_str(), &v6.sin6_addr) != 1)
            throw LabError("'" + text + "' is not [ADDRESS]:PORT");
        size_ = sizeof(v6);
        std::memcpy(&storage_, &v6, sizeof(v6));
        return;
    }
    v4.sin_family = AF_INET;
    v4.sin_port = port;
    if (::inet_pton(AF_INET, text.substr(0, colon).c_str(), &v4.sin_addr) != 1)
        throw LabError("'" + text + "' is not ADDRESS:PORT");
    size_ = sizeof(v4);
    std::memcpy(&storage_, &v4, sizeof(v4));
}

SocketAddress SocketAddress::local_of(int fd)
{
    SocketAddress address;
    ::getsockname(fd, address.data(), address.size_place());
    return address;
}

std::string SocketAddress::text() const
{
    char host[INET6_ADDRSTRLEN] = {};
    if (family() == AF_INET6) {
        sockaddr_in6 v6{};
        std::memcpy(&v6, &storage_, sizeof(v6));
        ::inet_ntop(AF_INET6, &v6.sin6_addr, host, sizeof(host));
        return '[' + std::string(host) + "]:" + std::to_string(ntohs(v6.sin6_port));
    }
    sockaddr_in v4{};
    std::memcpy(&v4, &storage_, sizeof(v4));
    ::inet_ntop(AF_INET, &v4.sin_addr, host, sizeof(host));
    return std::string(host) + ':' + std::to_string(ntohs(v4.sin_port));
}

Fd make_socket(int netns, int family, int type)
{
    int fd = -1;
    const auto make = [&] { fd = ::socket(family, type | SOCK_CLOEXEC, 0); };
    if (netns < 0) {
        make();
    } else {
        std::jthread([&] {
            if (::setns(netns, CLONE_NEWNET) == 0) make();
        }).join();
    }
    if (fd < 0) throw LabError("socket: " + std::string(std::strerror(errno)));
    return Fd(fd);
}

void set_timeouts(int fd, Milliseconds limit)
{
    const timeval value{limit.count() / 1000, limit.count() % 1000 * 1000};
    ::setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &value, sizeof(value));
    ::setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &value, sizeof(value));
}

int connect_within(int fd, const SocketAddress& to, Milliseconds limit)
{
    const int flags = ::fcntl(fd, F_GETFL);
    ::fcntl(fd, F_SETFL, flags | O_NONBLOCK);
    int error = ::connect(fd, to.data(), to.size()) == 0 ? 0 : errno;
    if (error == EINPROGRESS) {
        pollfd wait{fd, POLLOUT, 0};
        error = ETIMEDOUT;
        if (::poll(&wait, 1, static_cast<int>(limit.count())) == 1) {
            socklen_t size = sizeof(error);
            ::getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size);
        }
    }
    ::fcntl(fd, F_SETFL, flags);
    return error;
}

bool send_all(int fd, std::span<const u8> bytes)
{
    while (!bytes.empty()) {
        const ssize_t sent = ::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
        if (sent <= 0) {
            if (sent < 0 && errno == EINTR) continue;
            return false;
        }
        bytes = bytes.subspan(static_cast<std::size_t>(sent));
    }
    return true;
}

bool read_line(int fd, std::string& line)
{
    constexpr std::size_t line_max = 4096;
    line.clear();
    char c = 0;
    while (line.size() < line_max) {
        const ssize_t got = ::recv(fd, &c, 1, 0);
        if (got == 0) errno = ECONNRESET;
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) return false;
        if (c == '\n') return true;
        line += c;
    }
    errno = EMSGSIZE;
    return false;
}

void Sha256::Free::operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }

Sha256::Sha256() : context_(EVP_MD_CTX_new())
{
    if (context_ == nullptr || EVP_DigestInit_ex(context_.get(), EVP_sha256(), nullptr) != 1)
        throw LabError("SHA-256 is not available");
}

void Sha256::add(std::span<const u8> bytes) { EVP_DigestUpdate(context_.get(), bytes.data(), bytes.size()); }

std::string Sha256::finish()
{
    std::array<u8, EVP_MAX_MD_SIZE> digest{};
    unsigned size = 0;
    EVP_DigestFinal_ex(context_.get(), digest.data(), &size);
    std::string out;
    for (unsigned i = 0; i < size; ++i) {
        out += "0123456789abcdef"[digest[i] >> 4];
        out += "0123456789abcdef"[digest[i] & 15];
    }
    return out;
}

BulkSource::BulkSource() : block_(block_size)
{
    std::mt19937 numbers(20240601);
    for (u8& byte : block_) byte = static_cast<u8>(numbers());
    stamp();
}

void BulkSource::stamp() { std::memcpy(block_.data(), &number_, sizeof(number_)); }

std::span<const u8> BulkSource::peek(u64 max) const
{
    const auto rest = std::span(block_).subspan(used_);
    return rest.first(std::min<u64>(max, rest.size()));
}

void BulkSource::take(std::size_t count)
{
    used_ += count;
    if (used_ < block_size) return;
    used_ = 0;
    ++number_;
    stamp();
}

} // namespace lb::lab
