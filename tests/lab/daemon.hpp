// The `lb` command in a test: started in a namespace, with a configuration written to a file. The program is
// the one named by the environment variable LB. Its instance is unique to this process, so that tests may run
// beside a real one; whatever it leaves behind is taken off with `lb detach` when the object ends.
#pragma once

#include <csignal>
#include <memory>
#include <string>

#include "lab/netns.hpp"

namespace lb::lab {

/// The path in LB; a LabError where it names no program.
std::string lb_program();
/// An instance name that no other process uses.
std::string instance_name(const std::string& label = "e2e");
/// `/sys/fs/bpf/lb/<instance>`.
std::string pin_folder(const std::string& instance);

class Daemon {
public:
    /// Does not start it. `config`: the whole text of the file. `instance`: the one that the file names.
    Daemon(const Namespace& where, const std::string& config, const std::string& instance);
    /// The file that it reads.
    const std::string& config_file() const { return config_; }
    /// Further words for lb run, from the next start() on.
    void add_flag(const std::string& flag) { flags_.push_back(flag); }
    ~Daemon();
    Daemon(const Daemon&) = delete;
    Daemon& operator=(const Daemon&) = delete;

    /// Starts it and waits until it says that it is ready; a LabError with its log when it doesn't.
    void start();
    /// Ends it by SIGTERM, or another signal; its exit status. Killed, and a LabError, when it does not end
    /// in time.
    int stop(int number = SIGTERM);
    /// Sends a signal and goes on.
    void signal(int number) { child_->signal(number); }
    /// Gives it another configuration, by SIGHUP; waits for what the log says of that, and returns it.
    std::string reload(const std::string& config);
    /// Ends it by SIGKILL.
    void kill();
    bool running() { return child_ && child_->running(); }
    pid_t pid() const { return child_->pid(); }
    std::string log() const { return child_ ? child_->log() : ""; }
    /// `lb run` once more, beside one that may be running, to its end; a LabError when it does not end in
    /// time.
    Output run_again() const;
    /// `lb detach` for this instance, to its end.
    Output detach() const;

private:
    const Namespace& where_;
    std::string config_, instance_;
    Argv flags_ = {};
    std::unique_ptr<Child> child_;
};

} // namespace lb::lab
