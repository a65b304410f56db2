// The difference that a changed golden listing is shown by.
#include "text_diff.hpp"

#include <catch2/catch.hpp>

using namespace lb::test;

TEST_CASE("equal texts have no difference", "[golden]")
{
    CHECK(text_diff("", "").empty());
    CHECK(text_diff("a\nb\n", "a\nb\n").empty());
}

TEST_CASE("a difference shows what went, what came, and two lines around", "[golden]")
{
    CHECK(text_diff("1\n2\n3\n4\n5\n6\n7\n8\n", "1\n2\n3\n4\nfive\n6\n7\n8\n") ==
          "  3\n  4\n- 5\n+ five\n  6\n  7\n");
    CHECK(text_diff("1\n2\n", "0\n1\n2\n") == "+ 0\n  1\n  2\n");
    CHECK(text_diff("1\n2\n3\n", "1\n2\n") == "  1\n  2\n- 3\n");
    CHECK(text_diff("a\n1\n2\n3\n4\n5\nb\n", "A\n1\n2\n3\n4\n5\nB\n") ==
          "- a\n+ A\n  1\n  2\n  ...\n  4\n  5\n- b\n+ B\n");
    CHECK(text_diff("", "a\n") == "+ a\n");
}

TEST_CASE("a long difference is cut, and says by how much", "[golden]")
{
    CHECK(text_diff("", "1\n2\n3\n4\n5\n", 2) == "+ 1\n+ 2\n  ... and 3 more lines\n");
}
