// The main of test programs that need no other.
#include "catch_run.hpp"

int main(int argc, char** argv) { return lb::test::run_tests(argc, argv); }
