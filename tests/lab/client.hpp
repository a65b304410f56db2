// Clients for tests, against lab::Server: short connections by the thousand, bulk transfers with a hash,
// datagrams, connections that stay. Each answer says which server gave it; nothing is counted as done that
// was not checked, and nothing waits without limit. Functions block; a Connection belongs to one thread at a
// time.
#pragma once

#include <atomic>
#include <map>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "lab/socket.hpp"

namespace lb::lab {

/// Whom to call, and from where.
struct Call {
    std::string to;                                 ///< `192.0.2.1:80`
    int netns = -1;                                 ///< -1: the caller's
    std::string from = "";                          ///< bind to this address:port; empty: the kernel's choice
    Milliseconds timeout = std::chrono::seconds(5); ///< of connecting, and of each read and write
};

/// What a server said of itself and of us.
struct Answer {
    std::string server;
    std::string seen; ///< our address:port as it saw them
};

/// Outcomes of many tries: by the server that answered, and by what went wrong.
struct Tally {
    std::map<std::string, u64> by_server = {};
    std::map<std::string, u64> failures = {}; ///< by text: `connect: Connection refused`
    u64 answered() const;
    u64 failed() const;
    /// Part of the answers that this server gave, in percent.
    double percent(const std::string& server) const;
    void add(const Tally& other);
    /// `b1 50.2% b2 49.8%, 3 failed (connect: Connection timed out: 3)`
    std::string text() const;
};

/// One TCP connection that can be asked many times.
class Connection {
public:
    /// Connects. Failure is told by ok() and error().
    explicit Connection(const Call& call);
    bool ok() const { return error_.empty(); }
    const std::string& error() const { return error_; }
    std::string local() const { return SocketAddress::local_of(fd_.get()).text(); }
    /// Asks who is there; nothing when the connection is broken (then error() says how).
    std::optional<Answer> ask();
    int fd() const { return fd_.get(); }

private:
    Fd fd_;
    std::string error_;
};

struct ShortConnections {
    Call call;
    u64 count = 100;
    std::vector<int> cpus = {-1}; ///< one worker each, pinned to that CPU (-1: not pinned)
};
/// Connects, asks, closes, `count` times.
Tally run_short(const ShortConnections& options);

struct Questions {
    Call call;
    u64 sockets = 100;   ///< each with a source port of its own
    u64 per_socket = 10; ///< one after the other
    std::vector<int> cpus = {-1};
    Milliseconds timeout = std::chrono::seconds(2); ///< for an answer; then it is lost
};
/// UDP. A socket whose answers come from two servers counts as failed: `moved to another server`.
Tally run_questions(const Questions& options);

struct Transfer {
    bool ok = false;
    std::string error = {};
    double seconds = 0;
};
/// `bytes` of BulkSource to the server, or from it; ok when both sides have the same SHA-256.
Transfer upload(const Call& call, u64 bytes);
Transfer download(const Call& call, u64 bytes);

/// Connections that are asked in turn, all the time, in a thread of their own, until stop().
class BusyConnections {
public:
    struct Report {
        u64 asked = 0;  ///< questions answered
        u64 broken = 0; ///< connections that failed
        u64 moved = 0;  ///< connections that changed their server
        std::string first_error = {};
    };
    BusyConnections(const Call& call, u64 count);
    /// Questions answered so far.
    u64 asked() const { return asked_.load(); }
    Report stop();

private:
    void keep_asking(const std::stop_token& stop);
    std::vector<Connection> connections_;
    Report report_;
    std::atomic<u64> asked_{0};
    std::jthread thread_;
};

} // namespace lb::lab
