#!/usr/bin/env python3
"""Holds each case file against the compiler: every `#ifdef WRONG_n ... #else ... #endif` in it must compile as it is, and
must not compile with WRONG_n defined, for a reason that names a line between that #ifdef and its #else. So a case cannot
pass by a slip of the pen.

    run.py 'COMPILER ARGS...' CASE.cpp...
"""
import concurrent.futures
import os
import re
import shlex
import subprocess
import sys
import tempfile


def compile_case(command, path, *defines):
    """Whether it compiles, and what the compiler says."""
    run = subprocess.run([*command, "-fsyntax-only", *defines, path], capture_output=True, text=True)
    return run.returncode == 0, run.stderr


def with_headers(command, path, folder):
    """The command with the headers that the file includes compiled beforehand: they are the same for every case."""
    header = os.path.join(folder, os.path.basename(path) + ".hpp")
    with open(header, "w") as file:
        file.writelines(line for line in open(path) if line.startswith("#include "))
    if subprocess.run([*command, "-x", "c++-header", header, "-o", header + ".gch"], capture_output=True).returncode:
        return command  # then each case says what is wrong
    return [*command, "-include", header]


def cases_of(path):
    """Each case with the lines that are wrong in it."""
    cases, name, begin = [], None, 0
    for number, line in enumerate(open(path).read().splitlines(), 1):
        if found := re.match(r"#ifdef (WRONG_\w+)$", line):
            name, begin = found[1], number
        elif name and line == "#else":
            cases.append((name, range(begin + 1, number)))
            name = None
    return cases


def check_right(command, path):
    good, output = compile_case(command, path)
    return None if good else f"{path} does not compile as it is:\n{output}"


def check_wrong(command, path, name, lines):
    accepted, output = compile_case(command, path, f"-D{name}")
    if accepted:
        return f"{path}: {name} compiles, but must not"
    # By the file's name: a compiler cache may write paths in another way.
    named = {int(number) for number in re.findall(r"\b" + re.escape(os.path.basename(path)) + r":(\d+)", output)}
    if named.isdisjoint(lines):
        return f"{path}: {name} is refused for something else:\n{output}"
    return None


def main():
    command = shlex.split(sys.argv[1])
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool, tempfile.TemporaryDirectory() as folder:
        checks = []
        for path in sys.argv[2:]:
            cases, quick = cases_of(path), with_headers(command, path, folder)
            checks.append((path, pool.submit(check_right, quick, path)))
            checks += [(f"{path}: {name}", pool.submit(check_wrong, quick, path, name, lines)) for name, lines in cases]
            if not cases or len(cases) != len(re.findall("WRONG_", open(path).read())):
                sys.exit(f"{path} has no cases, or some that are not of the form #ifdef WRONG_n, #else, #endif")
        faults = 0
        for what, check in checks:
            fault = check.result()
            faults += fault is not None
            print(f"{what}: {'as it should be' if fault is None else fault}")
    sys.exit(1 if faults else 0)


main()
