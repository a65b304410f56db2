// A command whose exit status says it. It gets a cleaned environment, no file of lb's, and a process group of
// its own, which is killed where it takes too long.
#include <fcntl.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <csignal>

#include "runtime/probe_base.hpp"

namespace lb::runtime {
namespace {

namespace asio = boost::asio;
using boost::system::error_code;

error_code system_error(int number) { return {number, boost::system::system_category()}; }

std::vector<char*> pointers_to(std::vector<std::string>& texts)
{
    std::vector<char*> pointers;
    for (std::string& each : texts) pointers.push_back(each.data());
    pointers.push_back(nullptr);
    return pointers;
}

// 0, or the errno.
int spawn(std::vector<std::string> command, std::vector<std::string> environment, pid_t& pid)
{
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attributes;
    if (const int error = ::posix_spawn_file_actions_init(&files); error != 0) return error;
    ::posix_spawnattr_init(&attributes);
    ::posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDWR, 0);
    ::posix_spawn_file_actions_adddup2(&files, STDIN_FILENO, STDOUT_FILENO);
    ::posix_spawn_file_actions_adddup2(&files, STDIN_FILENO, STDERR_FILENO);
    ::posix_spawn_file_actions_addclosefrom_np(&files, STDERR_FILENO + 1);
    sigset_t none, all;
    ::sigemptyset(&none);
    ::sigfillset(&all);
    ::posix_spawnattr_setpgroup(&attributes, 0);
    ::posix_spawnattr_setsigmask(&attributes, &none);
    ::posix_spawnattr_setsigdefault(&attributes, &all);
    ::posix_spawnattr_setflags(&attributes,
                               POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    const auto arguments = pointers_to(command), variables = pointers_to(environment);
    const int error =
        ::posix_spawn(&pid, command.front().c_str(), &files, &attributes, arguments.data(), variables.data());
    ::posix_spawnattr_destroy(&attributes);
    ::posix_spawn_file_actions_destroy(&files);
    return error;
}

class ExecProbe : public Probe {
public:
    ExecProbe(asio::io_context& io, const model::HealthCheck& check, const Endpoint& target, Done done)
        : Probe(check, target, std::move(done)),
          process_(io),
          timer_(io)
    {}
    ~ExecProbe() override
    {
        if (pid_ <= 0) return;
        ::kill(-pid_, SIGKILL);
        ::waitpid(pid_, nullptr, 0);
    }
    void start() override;

private:
    void fail_later(int number);
    void ended();

    asio::posix::stream_descriptor process_; ///< readable when it has ended
    asio::steady_timer timer_;
    pid_t pid_ = 0;
    bool timed_out_ = false;
};

void ExecProbe::start()
{
    const std::vector<std::string> environment = {"PATH=/usr/sbin:/usr/bin:/sbin:/bin",
                                                  "LB_TARGET_IP=" + target().ip.text(),
                                                  "LB_TARGET_PORT=" + std::to_string(port())};
    if (const int error = spawn(check().command, environment, pid_); error != 0) {
        pid_ = 0;
        return fail_later(error);
    }
    const auto fd = static_cast<int>(::syscall(SYS_pidfd_open, pid_, 0));
    if (fd < 0) return fail_later(errno);
    process_.assign(fd);
    timer_.expires_after(check().timeout);
    timer_.async_wait([this, self = shared_from_this()](const error_code& cancelled) {
        if (cancelled) return;
        timed_out_ = true;
        ::kill(-pid_, SIGKILL);
    });
    process_.async_wait(asio::posix::stream_descriptor::wait_read,
                        [this, self = shared_from_this()](const error_code& error) {
                            if (error) return fail(error);
                            ended();
                        });
}

void ExecProbe::fail_later(int number)
{
    asio::post(process_.get_executor(),
               [this, number, self = shared_from_this()] { fail(system_error(number)); });
}

void ExecProbe::ended()
{
    timer_.cancel();
    process_.close();
    int status = 0;
    const pid_t pid = std::exchange(pid_, 0);
    if (::waitpid(pid, &status, 0) != pid) return fail(system_error(errno));
    if (timed_out_) return fail_by_timeout();
    if (WIFSIGNALED(status))
        return finish(ProbeError::unexpected_status, "ended by signal " + std::to_string(WTERMSIG(status)));
    const int code = WEXITSTATUS(status);
    finish(code == 0 ? ProbeError::none : ProbeError::unexpected_status,
           "exit status " + std::to_string(code));
}

} // namespace

std::shared_ptr<Probe> make_exec_probe(asio::io_context& io, const model::HealthCheck& check,
                                       const Endpoint& target, Probe::Done done)
{
    return std::make_shared<ExecProbe>(io, check, target, std::move(done));
}

} // namespace lb::runtime
