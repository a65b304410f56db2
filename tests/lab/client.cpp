#include "lab/client.hpp"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <functional>

#include "lab/netns.hpp"

namespace lb::lab {
namespace {

constexpr Milliseconds busy_pause{1};
// Between the handshake and the first data. While one CPU turns the handshake's last ACK into a socket,
// Linux 6.18 may answer data that another CPU has at hand with a RST: its lookup of sockets takes no lock.
// Seen about once in 70,000 connections that pass a veth with XDP, also where nothing translates them.
constexpr std::chrono::microseconds settle_pause{100};

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start)
{
    return std::chrono::duration<double>(Clock::now() - start).count();
}

std::string fault(const std::string& doing) { return doing + ": " + std::strerror(errno); }

// "b1 192.0.2.10:4000 ..." as an answer.
std::optional<Answer> parse_answer(const std::string& line)
{
    const auto first = line.find(' ');
    if (first == std::string::npos || first == 0) return std::nullopt;
    const auto second = line.find(' ', first + 1);
    return Answer{line.substr(0, first), line.substr(first + 1, second - first - 1)};
}

void allow_reuse(int fd)
{
    const int on = 1;
    ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
}

// Runs `work(worker, share)` in one pinned thread for each CPU named, with `count` shared out among them.
Tally run_workers(const std::vector<int>& cpus, u64 count, const std::function<Tally(u64 share)>& work)
{
    std::vector<Tally> tallies(cpus.size());
    {
        std::vector<std::jthread> threads;
        for (std::size_t i = 0; i < cpus.size(); ++i) {
            const u64 share = count / cpus.size() + (i < count % cpus.size() ? 1 : 0);
            threads.emplace_back([&, i, share] {
                pin_to_cpu(cpus[i]);
                tallies[i] = work(share);
            });
        }
    }
    Tally sum;
    for (const Tally& tally : tallies) sum.add(tally);
    return sum;
}

// Asks one question by UDP; the name of who answered, "" when nobody did in time (old answers are passed
// over).
std::string ask_udp(int fd, const std::string& question)
{
    if (::send(fd, question.data(), question.size(), MSG_NOSIGNAL) < 0) return "";
    std::array<char, 2048> buffer{};
    for (;;) {
        const ssize_t got = ::recv(fd, buffer.data(), buffer.size(), 0);
        if (got < 0) return "";
        const std::string answer(buffer.data(), static_cast<std::size_t>(got));
        if (!answer.ends_with(' ' + question)) continue;
        return answer.substr(0, answer.find(' '));
    }
}

void question_socket(const Questions& options, u64 serial, Tally& tally)
{
    const SocketAddress to(options.call.to);
    const Fd fd = make_socket(options.call.netns, to.family(), SOCK_DGRAM);
    set_timeouts(fd.get(), options.timeout);
    if (!options.call.from.empty()) {
        const SocketAddress from(options.call.from);
        allow_reuse(fd.get());
        if (::bind(fd.get(), from.data(), from.size()) != 0) ++tally.failures[fault("bind")];
    }
    if (::connect(fd.get(), to.data(), to.size()) != 0) {
        ++tally.failures[fault("connect")];
        return;
    }
    std::string server;
    for (u64 i = 0; i < options.per_socket; ++i) {
        const std::string name = ask_udp(fd.get(), "q" + std::to_string(serial) + '.' + std::to_string(i));
        if (name.empty())
            ++tally.failures["no answer"];
        else if (!server.empty() && server != name)
            ++tally.failures["moved to another server"];
        else
            ++tally.by_server[name];
        if (!name.empty()) server = name;
    }
}

Transfer ended(const std::string& error, Clock::time_point start)
{
    return {error.empty(), error, seconds_since(start)};
}

} // namespace

u64 Tally::answered() const
{
    u64 sum = 0;
    for (const auto& [name, count] : by_server) sum += count;
    return sum;
}

u64 Tally::failed() const
{
    u64 sum = 0;
    for (const auto& [text, count] : failures) sum += count;
    return sum;
}

double Tally::percent(const std::string& server) const
{
    const auto found = by_server.find(server);
    return found == by_server.end()
               ? 0
               : 100.0 * static_cast<double>(found->second) / static_cast<double>(answered());
}

void Tally::add(const Tally& other)
{
    for (const auto& [name, count] : other.by_server) by_server[name] += count;
    for (const auto& [text, count] : other.failures) failures[text] += count;
}

std::string Tally::text() const
{
    std::string out;
    for (const auto& [name, count] : by_server) {
        char part[64];
        std::snprintf(part, sizeof(part), "%.1f%% (%llu) ", percent(name),
                      static_cast<unsigned long long>(count));
        out += name + ' ' + part;
    }
    out += std::to_string(failed()) + " failed";
    for (const auto& [what, count] : failures) out += "; " + what + ": " + std::to_string(count);
    return out;
}

Connection::Connection(const Call& call)
{
    const SocketAddress to(call.to);
    fd_ = make_socket(call.netns, to.family(), SOCK_STREAM);
    if (!call.from.empty()) {
        const SocketAddress from(call.from);
        allow_reuse(fd_.get());
        if (::bind(fd_.get(), from.data(), from.size()) != 0) {
            error_ = fault("bind");
            return;
        }
    }
    errno = connect_within(fd_.get(), to, call.timeout);
    if (errno != 0) error_ = fault("connect");
    set_timeouts(fd_.get(), call.timeout);
    if (ok()) std::this_thread::sleep_for(settle_pause);
}

std::optional<Answer> Connection::ask()
{
    if (!ok()) return std::nullopt;
    std::string line;
    if (!send_all(fd_.get(), text("who\n"))) {
        error_ = fault("send");
    } else if (!read_line(fd_.get(), line)) {
        error_ = fault("receive");
    } else if (auto answer = parse_answer(line)) {
        return answer;
    } else {
        error_ = "not an answer: " + line;
    }
    return std::nullopt;
}

Tally run_short(const ShortConnections& options)
{
    return run_workers(options.cpus, options.count, [&](u64 share) {
        Call call = options.call;
        enter_netns(std::exchange(call.netns, -1));
        Tally tally;
        for (u64 i = 0; i < share; ++i) {
            Connection connection(call);
            if (const auto answer = connection.ask())
                ++tally.by_server[answer->server];
            else
                ++tally.failures[connection.error()];
        }
        return tally;
    });
}

Tally run_questions(const Questions& options)
{
    std::atomic<u64> serial{0};
    return run_workers(options.cpus, options.sockets, [&](u64 share) {
        Questions mine = options;
        enter_netns(std::exchange(mine.call.netns, -1));
        Tally tally;
        for (u64 i = 0; i < share; ++i) question_socket(mine, serial.fetch_add(1), tally);
        return tally;
    });
}

Transfer upload(const Call& call, u64 bytes)
{
    const auto start = Clock::now();
    Connection connection(call);
    if (!connection.ok()) return ended(connection.error(), start);
    if (!send_all(connection.fd(), text("sink " + std::to_string(bytes) + '\n')))
        return ended(fault("send"), start);
    BulkSource source;
    Sha256 hash;
    for (u64 left = bytes; left > 0;) {
        const auto part = source.peek(left);
        if (!send_all(connection.fd(), part)) return ended(fault("send"), start);
        hash.add(part);
        left -= part.size();
        source.take(part.size());
    }
    std::string line;
    if (!read_line(connection.fd(), line)) return ended(fault("receive"), start);
    return ended(line == hash.finish() ? "" : "the hash differs", start);
}

Transfer download(const Call& call, u64 bytes)
{
    const auto start = Clock::now();
    Connection connection(call);
    if (!connection.ok()) return ended(connection.error(), start);
    if (!send_all(connection.fd(), text("source " + std::to_string(bytes) + '\n')))
        return ended(fault("send"), start);
    Sha256 hash;
    Bytes buffer(256 * 1024);
    for (u64 left = bytes; left > 0;) {
        const ssize_t got = ::recv(connection.fd(), buffer.data(), std::min<u64>(left, buffer.size()), 0);
        if (got <= 0) return ended(got == 0 ? "the stream ended early" : fault("receive"), start);
        hash.add(std::span(buffer).first(static_cast<std::size_t>(got)));
        left -= static_cast<u64>(got);
    }
    std::string line;
    if (!read_line(connection.fd(), line)) return ended(fault("receive"), start);
    return ended(line == hash.finish() ? "" : "the hash differs", start);
}

BusyConnections::BusyConnections(const Call& call, u64 count)
{
    for (u64 i = 0; i < count; ++i) connections_.emplace_back(call);
    thread_ = std::jthread([this](const std::stop_token& stop) { keep_asking(stop); });
}

void BusyConnections::keep_asking(const std::stop_token& stop)
{
    std::vector<std::string> servers(connections_.size());
    std::vector<bool> gone(connections_.size());
    while (!stop.stop_requested()) {
        for (std::size_t i = 0; i < connections_.size() && !stop.stop_requested(); ++i) {
            if (gone[i]) continue;
            const auto answer = connections_[i].ask();
            if (!answer) {
                gone[i] = true;
                ++report_.broken;
                if (report_.first_error.empty()) report_.first_error = connections_[i].error();
                continue;
            }
            if (!servers[i].empty() && servers[i] != answer->server) ++report_.moved;
            servers[i] = answer->server;
            asked_.fetch_add(1);
        }
        std::this_thread::sleep_for(busy_pause);
    }
}

BusyConnections::Report BusyConnections::stop()
{
    thread_.request_stop();
    if (thread_.joinable()) thread_.join();
    report_.asked = asked_.load();
    return report_;
}

} // namespace lb::lab
