#!/usr/bin/env python3
"""Each folder is a layer and includes only its own headers and those of the layers below: see LAYERS.

    layers.py SOURCE_ROOT
"""
import pathlib
import re
import sys

# What each layer may include, its own apart. include/lb/asm and include/lb/base belong to the layers of their name; the
# library's own header, include/lb/lb.hpp, shows nothing but base.
LAYERS = {
    "base": [],
    "asm": ["base"],
    "model": ["base"],
    "datapath": ["model", "asm", "base"],
    "kernel": ["asm", "base"],
    "runtime": ["kernel", "datapath", "model", "asm", "base", "library"],
    "cli": ["runtime", "kernel", "datapath", "model", "asm", "base"],
    "library": ["base"],
}


def layer_of(path):
    """Of a file below src or include, or of what an #include names; none: not ours."""
    if path == "lb/lb.hpp":
        return "library"
    parts = path.split("/")
    name = parts[1] if parts[0] == "lb" and len(parts) > 2 else parts[0]
    return name if name in LAYERS else None


def main():
    root = pathlib.Path(sys.argv[1])
    faults, seen = [], set()
    for folder in ("src", "include"):
        for file in sorted((root / folder).rglob("*.?pp")):
            inner = str(file.relative_to(root / folder))
            own = layer_of(inner)
            if own is None:
                faults.append(f"{folder}/{inner}: of no known layer")
                continue
            seen.add(own)
            for number, line in enumerate(file.read_text().splitlines(), 1):
                named = re.match(r'\s*#\s*include\s*([<"])([^>"]+)[>"]', line)
                other = layer_of(named[2]) if named else None
                if named and named[1] == '"' and other is None:
                    faults.append(f"{folder}/{inner}:{number}: {named[2]} does not begin with its layer")
                if folder == "include" and other and not named[2].startswith("lb/"):
                    faults.append(f"{folder}/{inner}:{number}: {named[2]} is not installed")
                if other and other != own and other not in LAYERS[own]:
                    faults.append(f"{folder}/{inner}:{number}: {own} may not include {other} ({named[2]})")
    faults += [f"no file of layer {layer} was found" for layer in LAYERS if layer not in seen]
    print("\n".join(faults))
    sys.exit(1 if faults else 0)


main()
