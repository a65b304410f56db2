#define CATCH_CONFIG_RUNNER
#include "lab/main.hpp"
