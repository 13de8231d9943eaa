#!/usr/bin/env bash
# Installs the engines that tests and benchmarks compare limn with, into .peers (ignored). Users never need them.
set -euo pipefail
cd "$(dirname "$0")/.."
python=.peers/python
if [ ! -x "$python/bin/python" ]; then
  python3 -m venv "$python"
fi
"$python/bin/pip" install --quiet --disable-pip-version-check 'pyiceberg[sql-sqlite,pyarrow]==0.12.0'
"$python/bin/pip" list --format=freeze --disable-pip-version-check | grep -iE '^(pyiceberg|pyarrow|sqlalchemy)='
