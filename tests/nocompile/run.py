#!/usr/bin/env python3
"""Holds each case file against the compiler: every `#ifdef WRONG_n ... #else ... #endif` in it must compile as it is, and
must not compile with WRONG_n defined. So a case cannot pass by a slip of the pen.

    run.py 'COMPILER ARGS...' CASE.cpp...
"""
import re
import shlex
import subprocess
import sys


def compiles(command, path, *defines):
    run = subprocess.run([*command, "-fsyntax-only", *defines, path], capture_output=True, text=True)
    return run.returncode == 0, run.stderr


def check(command, path):
    good, output = compiles(command, path)
    if not good:
        return [f"{path} does not compile as it is:\n{output}"]
    faults = []
    names = re.findall(r"^#ifdef (WRONG_\w+)", open(path).read(), re.M)
    if not names:
        return [f"{path} has no case"]
    for name in names:
        accepted, _ = compiles(command, path, f"-D{name}")
        print(f"{path}: {name}: {'accepted' if accepted else 'refused'}")
        if accepted:
            faults.append(f"{path}: {name} compiles, but must not")
    return faults


def main():
    command = shlex.split(sys.argv[1])
    faults = [fault for path in sys.argv[2:] for fault in check(command, path)]
    for fault in faults:
        print(fault, file=sys.stderr)
    sys.exit(1 if faults else 0)


main()
