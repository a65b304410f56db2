// A server for tests: one thread that answers TCP and UDP on one address and port and says who it is. Lines
// it takes on TCP, as many per connection as the client likes:
//   who       -> `NAME ADDRESS:PORT` with the client's address as it is seen here
//   sink N    -> reads N bytes, answers their SHA-256
//   source N  -> sends N bytes of BulkSource, then a line with their SHA-256
// A datagram is answered with `NAME ADDRESS:PORT ` and itself. Counters may be read from any thread.
#pragma once

#include <atomic>
#include <string>
#include <thread>

#include "lab/socket.hpp"

namespace lb::lab {

struct ServerOptions {
    std::string name;
    std::string listen; ///< `10.0.0.11:8080`; `0.0.0.0:8080` for every address
    int netns = -1;     ///< -1: the caller's
    int cpu = -1;       ///< answers leave from this CPU; -1: from any
    bool tcp = true;
    bool udp = true;
};

class Server {
public:
    /// Listens when the constructor returns; a LabError when it cannot.
    explicit Server(const ServerOptions& options);
    ~Server();
    Server(const Server&) = delete;
    Server& operator=(const Server&) = delete;

    u64 connections() const { return connections_.load(); }
    u64 datagrams() const { return datagrams_.load(); }
    const std::string& name() const { return name_; }

private:
    void serve(const std::stop_token& stop);
    void accept_all(int epoll, class Sessions& sessions);
    void answer_datagrams();

    std::string name_;
    int cpu_;
    Fd tcp_, udp_;
    std::atomic<u64> connections_{0}, datagrams_{0};
    std::jthread thread_;
};

} // namespace lb::lab
