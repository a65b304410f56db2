#include "runtime/daemon.hpp"

#include <spdlog/spdlog.h>
#include <sys/resource.h>

#include <boost/asio.hpp>
#include <csignal>

#include "runtime/balancer.hpp"
#include "runtime/drop_warnings.hpp"
#include "runtime/health_log.hpp"
#include "runtime/stats_log.hpp"

namespace lb::runtime {
namespace {

namespace asio = boost::asio;
using namespace std::chrono_literals;

constexpr auto totals_interval = 10s;
constexpr auto watch_interval = 500ms;

// The collector comes by often enough that no connection outlives its timeout by more than a tenth, or a
// second.
std::chrono::milliseconds collect_interval(std::chrono::seconds timeout)
{
    return std::clamp<std::chrono::milliseconds>(timeout / 10, 500ms, 5s);
}

// Each check has a socket while it lasts, and thousands may last at once.
void raise_descriptor_limit()
{
    rlimit limit{};
    if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
    limit.rlim_cur = limit.rlim_max;
    if (::setrlimit(RLIMIT_NOFILE, &limit) != 0) spdlog::debug("the limit of open files stays as it is");
}

class Daemon {
public:
    Daemon(Balancer& balancer, const ConfigSource& source)
        : balancer_(balancer),
          source_(source),
          drops_(balancer),
          signals_(io_, SIGTERM, SIGINT, detach_signal),
          hangup_(io_, SIGHUP),
          addresses_(io_, balancer.monitor_fd()),
          collect_(io_),
          events_(io_),
          totals_(io_),
          watch_(io_)
    {
        signals_.async_wait([this](const boost::system::error_code&, int number) {
            spdlog::info("ending on signal {}", number);
            detach_asked_ = number == detach_signal;
            io_.stop();
        });
        wait_for_hangup();
        wait_for_addresses();
        collect_later();
        totals_later();
        check_health();
        follow_events();
        if (!source_.state) return;
        loaded_ = seen_ = source_.state();
        watch_later();
    }
    ~Daemon()
    {
        addresses_.release(); // the monitor owns the fd
        release_events();
    }
    Daemon(const Daemon&) = delete;
    Daemon& operator=(const Daemon&) = delete;

    /// Until a signal ends it. True: `lb detach` did.
    bool run()
    {
        io_.run();
        return detach_asked_;
    }

private:
    // Service managers send it to ask for a reload: it must not end the traffic.
    void wait_for_hangup()
    {
        hangup_.async_wait([this](const boost::system::error_code& error, int) {
            if (error) return;
            reload();
            wait_for_hangup();
        });
    }
    // Editors write in several steps, and some rename: what counts is what is there and stays.
    void watch_later()
    {
        watch_.expires_after(watch_interval);
        watch_.async_wait([this](const boost::system::error_code& error) {
            if (error) return;
            const std::string now = source_.state();
            if (!now.empty() && now != loaded_ && now == seen_) reload();
            seen_ = now;
            watch_later();
        });
    }
    // Packets go on being forwarded meanwhile; what waits is what this thread does besides.
    void reload()
    {
        if (source_.state) loaded_ = source_.state(); // what comes meanwhile is another one
        const auto config = source_.read();
        if (!config) return refuse_reload(config.error());
        release_events(); // before their fd is closed and its number another's
        const auto done = balancer_.reload(*config);
        if (done) check_health();
        follow_events();
        if (!done) return refuse_reload(done.error());
        spdlog::info("reloaded: {} proxies, {} targets", balancer_.plan().proxies.size(),
                     balancer_.plan().targets.size());
    }
    static void refuse_reload(const Error& error)
    {
        spdlog::error("reload: nothing has changed, because: {}", error.message);
    }
    // By the plan as it is now, with what is known of its targets.
    void check_health()
    {
        const HealthChecker::States known = health_ ? health_->states() : HealthChecker::States{};
        health_.reset();
        if (!balancer_.plan().settings.health_check_enabled) return;
        raise_descriptor_limit();
        health_.emplace(
            io_, balancer_.plan(), [this](const HealthChange& change) { take(change); }, known);
    }
    // Tells of connections where the plan says so.
    void follow_events()
    {
        if (!balancer_.opened_events()) return stats_log_.reset();
        if (!stats_log_) stats_log_.emplace(balancer_);
        events_.assign(balancer_.opened_events()->fd());
        wait_for_events();
    }
    // The ring buffer owns the fd.
    void release_events()
    {
        if (events_.is_open()) events_.release();
    }
    void wait_for_addresses()
    {
        addresses_.async_wait(
            asio::posix::stream_descriptor::wait_read, [this](const boost::system::error_code& error) {
                if (error) return;
                if (auto done = balancer_.follow_addresses(); !done)
                    spdlog::error("following the host's addresses: {}", done.error().message);
                wait_for_addresses();
            });
    }
    void collect_later()
    {
        collect_.expires_after(collect_interval(balancer_.plan().settings.connection_timeout));
        collect_.async_wait([this](const boost::system::error_code& error) {
            if (error) return;
            std::function<void(const ConnectionClosed&)> each;
            if (stats_log_) each = [this](const ConnectionClosed& event) { stats_log_->closed(event); };
            const auto collected = balancer_.collect_idle(each);
            if (!collected)
                spdlog::error("collecting idle connections: {}", collected.error().message);
            else {
                connections_ = collected->connections;
                if (collected->removed > 0)
                    spdlog::debug("{} idle connections removed, {} left", collected->removed, connections_);
            }
            drops_.look();
            collect_later();
        });
    }
    void take(const HealthChange& change)
    {
        if (auto done = balancer_.set_health(change.target, change.percent); !done)
            return spdlog::error("publishing weights: {}", done.error().message);
        log_health(balancer_, change);
    }
    void wait_for_events()
    {
        events_.async_wait(asio::posix::stream_descriptor::wait_read,
                           [this](const boost::system::error_code& error) {
                               if (error || !stats_log_) return;
                               stats_log_->read_opened();
                               wait_for_events();
                           });
    }
    void totals_later()
    {
        totals_.expires_after(totals_interval);
        totals_.async_wait([this](const boost::system::error_code& error) {
            if (error) return;
            if (stats_log_) stats_log_->totals(connections_);
            totals_later();
        });
    }

    Balancer& balancer_;
    const ConfigSource& source_;
    std::string loaded_ = {}, seen_ = {}; ///< states of the source: what was read last, and seen last
    DropWarnings drops_;
    asio::io_context io_{1};
    asio::signal_set signals_;
    asio::signal_set hangup_;
    asio::posix::stream_descriptor addresses_;
    asio::steady_timer collect_;
    asio::posix::stream_descriptor events_;
    asio::steady_timer totals_;
    asio::steady_timer watch_;
    std::optional<StatsLog> stats_log_ = {};   ///< with `stats-enabled`
    std::optional<HealthChecker> health_ = {}; ///< with `health-check-enabled`
    u64 connections_ = 0;
    bool detach_asked_ = false;
};

} // namespace

Result<void> run_daemon(const model::Config& config, const ConfigSource& source)
{
    auto balancer = Balancer::start(config);
    if (!balancer) return std::unexpected(balancer.error());
    bool detach_asked = false;
    {
        Daemon daemon(*balancer, source);
        spdlog::info("ready: {} proxies, {} targets, instance {}", balancer->plan().proxies.size(),
                     balancer->plan().targets.size(), balancer->plan().instance);
        detach_asked = daemon.run();
    }
    if (balancer->plan().settings.on_exit == model::OnExit::keep && !detach_asked) {
        spdlog::info("left attached (on-exit: keep); 'lb detach' takes it off");
        return {};
    }
    return balancer->take_off();
}

} // namespace lb::runtime
