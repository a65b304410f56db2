// `lb backend` in a test: started in a namespace, ended and put back when the object ends, however it ended
// itself.
#pragma once

#include <csignal>
#include <memory>
#include <string>

#include "lab/netns.hpp"

namespace lb::lab {

class Backend {
public:
    /// On eth0; `words`: what the command line says besides. Ready when the constructor returns, a LabError
    /// with its log when it isn't.
    Backend(const Namespace& where, const std::string& instance, const Argv& words);
    ~Backend();
    Backend(const Backend&) = delete;
    Backend& operator=(const Backend&) = delete;

    /// Its exit status; -1 where it does not end.
    int end(int signal = SIGTERM);
    std::string log() const { return child_->log(); }

private:
    const Namespace& where_;
    std::string instance_;
    std::unique_ptr<Child> child_;
};

} // namespace lb::lab
