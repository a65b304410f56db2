// Rules about single values of the configuration that the file and the flags share. Each says what is wrong
// with a value, in words that follow "VALUE: "; empty: nothing. Pure; safe from any thread.
#pragma once

#include <string>
#include <string_view>

#include "lb/base/address.hpp"

namespace lb::model {

std::string interface_problem(std::string_view name);
std::string target_problem(const IpAddress& ip);
std::string listener_problem(const IpAddress& ip);
std::string full_nat_source_problem(const IpAddress& ip);
std::string proxy_name_problem(std::string_view name);
std::string instance_problem(std::string_view name);

} // namespace lb::model
