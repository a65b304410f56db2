// Sockets for the lab's servers and clients: owned descriptors, addresses from text, every operation with a
// limit. A socket belongs for ever to the namespace in which it was made, whatever thread uses it later.
#pragma once

#include <sys/socket.h>

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <utility>

#include "lab/packet.hpp"
#include "lab/process.hpp"

typedef struct evp_md_ctx_st EVP_MD_CTX;

namespace lb::lab {

class Fd {
public:
    Fd() = default;
    explicit Fd(int fd) : fd_(fd) {}
    Fd(Fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
    Fd& operator=(Fd&& other) noexcept
    {
        std::swap(fd_, other.fd_);
        return *this;
    }
    ~Fd();
    int get() const { return fd_; }
    bool valid() const { return fd_ >= 0; }

private:
    int fd_ = -1;
};

/// An address and port of the socket interface.
class SocketAddress {
public:
    SocketAddress() = default;
    /// `10.0.0.1:80` or `[2001:db8::1]:80`; a LabError otherwise.
    explicit SocketAddress(const std::string& text);
    static SocketAddress local_of(int fd);
    std::string text() const;
    int family() const { return storage_.ss_family; }
    sockaddr* data() { return reinterpret_cast<sockaddr*>(&storage_); }
    const sockaddr* data() const { return reinterpret_cast<const sockaddr*>(&storage_); }
    socklen_t size() const { return size_; }
    socklen_t* size_place() { return &size_; }

private:
    sockaddr_storage storage_ = {};
    socklen_t size_ = sizeof(sockaddr_storage);
};

/// A socket made in a namespace (-1: the caller's). `type`: SOCK_STREAM or SOCK_DGRAM, with SOCK_NONBLOCK if
/// wanted.
Fd make_socket(int netns, int family, int type);
/// Limits for reading and writing, of a blocking socket.
void set_timeouts(int fd, Milliseconds limit);
/// 0, or the errno; ETIMEDOUT after `limit`.
int connect_within(int fd, const SocketAddress& to, Milliseconds limit);
/// Sends all; false with errno set otherwise.
bool send_all(int fd, std::span<const u8> bytes);
/// One line without its end. False with errno set otherwise; ECONNRESET too when the stream ended before.
bool read_line(int fd, std::string& line);

/// SHA-256 of what it is fed.
class Sha256 {
public:
    Sha256();
    void add(std::span<const u8> bytes);
    /// 64 hexadecimal digits; the object is used up.
    std::string finish();

private:
    struct Free {
        void operator()(EVP_MD_CTX* context) const;
    };
    std::unique_ptr<EVP_MD_CTX, Free> context_;
};

/// The bytes of a bulk transfer: the same for everybody, no two blocks alike, so that a lost, doubled or
/// exchanged segment changes the hash.
class BulkSource {
public:
    static constexpr std::size_t block_size = 64 * 1024;
    BulkSource();
    /// The next bytes, at most `max`; take() says how many of them were used.
    std::span<const u8> peek(u64 max) const;
    void take(std::size_t count);

private:
    void stamp();
    Bytes block_;
    u64 number_ = 0;
    std::size_t used_ = 0;
};

} // namespace lb::lab
