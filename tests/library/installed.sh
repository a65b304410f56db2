#!/usr/bin/env bash
# Installs into a folder of its own and builds the example there as a stranger would: by pkg-config alone.
#   installed.sh BUILD_FOLDER EXAMPLE.cpp
set -euo pipefail
build=$1 example=$2
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
DESTDIR=$folder meson install -C "$build" --no-rebuild --quiet
prefix=$(dirname "$(dirname "$(find "$folder" -path '*/bin/lb')")")
export PKG_CONFIG_PATH
PKG_CONFIG_PATH=$(dirname "$(find "$folder" -name lb.pc)")
"$prefix/bin/lb" --version
# The file names the prefix as if the folder were the root.
flags_of() { pkg-config --define-variable=prefix="$prefix" "$1" lb; }
read -ra flags <<<"$(flags_of --cflags)"
read -ra libraries <<<"$(flags_of --libs)"
c++ -std=c++23 "${flags[@]}" "$example" -o "$folder/example" "${libraries[@]}"
# Without arguments it says how it is used.
[[ $("$folder/example" 2>&1 || true) == usage:* ]]
