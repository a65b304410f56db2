#include "setup.hpp"

namespace lb::e2e {

std::string proxy(const ProxyText& text)
{
    return "{\"name\": \"" + text.name + "\", \"listen\": {\"interfaces\": " + text.interfaces +
           ", \"port\": " + std::to_string(text.port) + (text.listen.empty() ? "" : ", " + text.listen) +
           "}, \"default-target\": " + text.target + (text.more.empty() ? "" : ", " + text.more) + "}";
}

std::string config(const std::vector<std::string>& proxies, const std::string& settings,
                   const std::string& instance)
{
    std::string list;
    for (const std::string& one : proxies) list += (list.empty() ? "" : ",\n") + one;
    return "{\"proxies\": [\n" + list + "],\n\"settings\": {\"instance\": \"" + instance + '"' +
           (settings.empty() ? "" : ", " + settings) + "}}\n";
}

Balanced::Balanced(const std::string& text) : lb(net.balancer, text, instance_name()) { lb.start(); }

std::string who(Call call, Milliseconds timeout)
{
    call.timeout = timeout;
    Connection connection(call);
    const auto answer = connection.ask();
    return answer ? answer->server : "failed: " + connection.error();
}

std::string who_until(const Call& call, const std::string& wanted, Milliseconds limit)
{
    const auto end = std::chrono::steady_clock::now() + limit;
    for (;;) {
        std::string answer = who(call, 500ms);
        if (answer == wanted || std::chrono::steady_clock::now() > end) return answer;
        std::this_thread::sleep_for(50ms);
    }
}

} // namespace lb::e2e
