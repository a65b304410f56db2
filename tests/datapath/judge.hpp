// A bench and a model side by side: each frame goes through both, and every byte must agree.
#pragma once

#include "bench.hpp"
#include "model.hpp"

namespace lb::test {

class Judge {
public:
    Judge(const std::string& config, ModelFacts facts, const BenchOptions& options = {})
        : bench_(config, options),
          model_(std::move(facts)),
          interface_(options.arrives_on)
    {}

    /// Runs the frame through the ingress program and the model, and checks verdict, reason and bytes.
    /// Returns the frame that came out.
    Bytes in(const Bytes& frame);
    /// The same on the way out.
    Bytes out(const Bytes& frame);
    /// The reason that the model gave for the last frame.
    model::Reason last() const { return last_; }
    const Bench& bench() const { return bench_; }
    const Model& model() const { return model_; }

private:
    Bytes check(const Bytes& frame, const Passage& passage, const Judgement& judged);
    std::map<model::Reason, u64> counts() const;

    Bench bench_;
    Model model_;
    std::string interface_;
    model::Reason last_ = model::Reason::internal;
    std::map<model::Reason, u64> before_ = {};
};

/// Bytes as hex, for messages.
std::string hex(const Bytes& bytes);

} // namespace lb::test
