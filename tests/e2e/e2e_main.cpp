#include "lab/main.hpp"
