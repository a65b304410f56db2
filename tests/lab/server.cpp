#include "lab/server.hpp"

#include <sys/epoll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <map>
#include <optional>

#include "lab/netns.hpp"

namespace lb::lab {
namespace {

constexpr int backlog = 4096;
constexpr int poll_ms = 50;
constexpr std::size_t line_max = 256;
// Turns of one connection before the others are looked at again.
constexpr int turns_max = 16;

// One TCP connection: takes lines, or is in the middle of a transfer.
class Session {
public:
    Session(Fd fd, std::string seen) : fd_(std::move(fd)), seen_(std::move(seen)) {}

    // False when the connection has ended.
    bool go_on(const std::string& name)
    {
        for (int turn = 0; turn < turns_max; ++turn) {
            if (!flush()) return false;
            if (!out_.empty()) return true;
            const bool more = source_ ? send_bulk() : receive(name);
            if (ended_) return false;
            if (!more) return true;
        }
        return true;
    }
    // Whether it waits for room in the socket's send buffer.
    bool wants_to_write() const { return source_.has_value() || !out_.empty(); }

private:
    // Both return whether there may be more to do at once; ended_ when the connection is over.
    bool send_bulk()
    {
        const auto bytes = source_->peek(left_);
        const ssize_t sent = ::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
        if (sent < 0) return stopped();
        const auto count = static_cast<std::size_t>(sent);
        hash_->add(bytes.first(count));
        source_->take(count);
        left_ -= count;
        if (left_ == 0) {
            out_ = hash_->finish() + '\n';
            source_.reset();
            hash_.reset();
        }
        return true;
    }

    bool receive(const std::string& name)
    {
        static thread_local Bytes buffer(256 * 1024);
        const ssize_t got = ::recv(fd_.get(), buffer.data(), buffer.size(), 0);
        if (got < 0) return stopped();
        if (got == 0) ended_ = true;
        auto bytes = std::span(buffer).first(static_cast<std::size_t>(got));
        while (!bytes.empty() && !ended_) {
            if (hash_ && !source_)
                bytes = bytes.subspan(sink(bytes));
            else
                bytes = bytes.subspan(take_line(bytes, name));
        }
        return true;
    }

    std::size_t sink(std::span<const u8> bytes)
    {
        const std::size_t count = std::min<u64>(left_, bytes.size());
        hash_->add(bytes.first(count));
        left_ -= count;
        if (left_ == 0) {
            out_ += hash_->finish() + '\n';
            hash_.reset();
        }
        return count;
    }

    std::size_t take_line(std::span<const u8> bytes, const std::string& name)
    {
        const auto end = std::find(bytes.begin(), bytes.end(), u8{'\n'});
        line_.append(bytes.begin(), end);
        const auto used = static_cast<std::size_t>(end - bytes.begin());
        if (line_.size() > line_max) ended_ = true;
        if (end == bytes.end()) return used;
        obey(std::exchange(line_, {}), name);
        return used + 1;
    }

    void obey(const std::string& line, const std::string& name)
    {
        if (line == "who") {
            out_ += name + ' ' + seen_ + '\n';
        } else if (line.rfind("sink ", 0) == 0 || line.rfind("source ", 0) == 0) {
            left_ = std::strtoull(line.c_str() + line.find(' '), nullptr, 10);
            hash_.emplace();
            if (line[1] == 'o') source_.emplace();
        } else {
            ended_ = true;
        }
    }

    bool flush()
    {
        while (!out_.empty()) {
            const ssize_t sent = ::send(fd_.get(), out_.data(), out_.size(), MSG_NOSIGNAL);
            if (sent < 0) return errno == EAGAIN;
            out_.erase(0, static_cast<std::size_t>(sent));
        }
        return true;
    }

    bool stopped()
    {
        if (errno != EAGAIN && errno != EINTR) ended_ = true;
        return false;
    }

    Fd fd_;
    std::string seen_, line_, out_;
    std::optional<Sha256> hash_;
    std::optional<BulkSource> source_;
    u64 left_ = 0;
    bool ended_ = false;
};

Fd listen_on(const ServerOptions& options, int type)
{
    const SocketAddress address(options.listen);
    Fd fd = make_socket(options.netns, address.family(), type | SOCK_NONBLOCK);
    const int on = 1;
    ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    const int room = 4 << 20;
    if (type == SOCK_DGRAM) ::setsockopt(fd.get(), SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof(room));
    if (::bind(fd.get(), address.data(), address.size()) != 0 ||
        (type == SOCK_STREAM && ::listen(fd.get(), backlog) != 0))
        throw LabError(options.name + " cannot listen on " + options.listen + ": " + std::strerror(errno));
    return fd;
}

void watch(int epoll, int fd, bool writing, int operation)
{
    epoll_event event{};
    event.events = writing ? EPOLLIN | EPOLLOUT : EPOLLIN;
    event.data.fd = fd;
    ::epoll_ctl(epoll, operation, fd, &event);
}

} // namespace

class Sessions : public std::map<int, Session> {};

Server::Server(const ServerOptions& options) : name_(options.name), cpu_(options.cpu)
{
    if (options.tcp) tcp_ = listen_on(options, SOCK_STREAM);
    if (options.udp) udp_ = listen_on(options, SOCK_DGRAM);
    thread_ = std::jthread([this](const std::stop_token& stop) { serve(stop); });
}

Server::~Server() = default;

void Server::serve(const std::stop_token& stop)
{
    pin_to_cpu(cpu_);
    const Fd epoll(::epoll_create1(EPOLL_CLOEXEC));
    for (const Fd* fd : {&tcp_, &udp_})
        if (fd->valid()) watch(epoll.get(), fd->get(), false, EPOLL_CTL_ADD);
    Sessions sessions;
    std::array<epoll_event, 256> events{};
    while (!stop.stop_requested()) {
        const int ready = ::epoll_wait(epoll.get(), events.data(), static_cast<int>(events.size()), poll_ms);
        for (int i = 0; i < ready; ++i) {
            const int fd = events[static_cast<std::size_t>(i)].data.fd;
            if (fd == tcp_.get()) {
                accept_all(epoll.get(), sessions);
            } else if (fd == udp_.get()) {
                answer_datagrams();
            } else if (const auto session = sessions.find(fd); session != sessions.end()) {
                if (session->second.go_on(name_))
                    watch(epoll.get(), fd, session->second.wants_to_write(), EPOLL_CTL_MOD);
                else
                    sessions.erase(session);
            }
        }
    }
}

void Server::accept_all(int epoll, Sessions& sessions)
{
    for (;;) {
        SocketAddress client;
        const int fd =
            ::accept4(tcp_.get(), client.data(), client.size_place(), SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0) return;
        connections_.fetch_add(1);
        sessions.emplace(fd, Session(Fd(fd), client.text()));
        watch(epoll, fd, false, EPOLL_CTL_ADD);
    }
}

void Server::answer_datagrams()
{
    std::array<char, 2048> buffer{};
    for (;;) {
        SocketAddress client;
        const ssize_t got =
            ::recvfrom(udp_.get(), buffer.data(), buffer.size(), 0, client.data(), client.size_place());
        if (got < 0) return;
        datagrams_.fetch_add(1);
        const std::string answer =
            name_ + ' ' + client.text() + ' ' + std::string(buffer.data(), static_cast<std::size_t>(got));
        ::sendto(udp_.get(), answer.data(), answer.size(), MSG_NOSIGNAL, client.data(), client.size());
    }
}

} // namespace lb::lab
