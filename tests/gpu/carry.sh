#!/usr/bin/env bash
# Fetch what multigrad needs beside a framework into tests/gpu/carried, for a machine without a network.
#
#   tests/gpu/carry.sh [PYTHON_VERSION [LEFT_OUT…]]
#
# PYTHON_VERSION is that of the machine with the GPU, such as 3.12 (default: that of this one). LEFT_OUT are packages that
# the machine has already (default: numpy, which comes with every framework).
set -eu

root=$(cd "$(dirname "$0")/../.." && pwd)
python=${PYTHON:-python3}
version=${1:-$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')}
[ $# -gt 0 ] && shift
[ $# -gt 0 ] || set -- numpy
folder=$root/tests/gpu/carried

"$python" - "$root/pyproject.toml" >"$root/tests/gpu/requirements.txt" <<'PYTHON'
import sys
import tomllib

with open(sys.argv[1], "rb") as file:
    print("\n".join(tomllib.load(file)["project"]["dependencies"]))
PYTHON
rm -rf "$folder"
"$python" -m pip install --quiet --target "$folder" --only-binary=:all: --python-version "$version" \
    --implementation cp --platform manylinux2014_x86_64 --platform manylinux_2_28_x86_64 --platform any \
    -r "$root/tests/gpu/requirements.txt"
rm "$root/tests/gpu/requirements.txt"
for name in "$@"; do rm -rf "$folder/${name:?}" "$folder/${name:?}.libs" "$folder/${name:?}"-*.dist-info; done
find "$folder" -type d \( -name tests -o -name __pycache__ \) -prune -exec rm -rf {} +
du -sh "$folder"
