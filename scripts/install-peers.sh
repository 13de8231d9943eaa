#!/usr/bin/env bash
# Installs the engines that tests and benchmarks compare limn with, into .peers (ignored). Users never need them.
# What is there already, at the versions named here, is kept: a second call takes a second. Java 17 and Maven bring the
# Java side; without them only the Python side is installed, and the suites that need Java say so.
set -euo pipefail
cd "$(dirname "$0")/.."
peers=$PWD/.peers
python=$peers/python
requirements=('pyiceberg[sql-sqlite,pyarrow]==0.12.0' 'duckdb==1.5.5' 'duckdb-extension-iceberg==1.5.5' 'duckdb-extension-avro==1.5.5'
  'deltalake==1.6.6')
# Tools that do a lake's work in another way, each in an environment of its own: their requirements exclude each other.
dbt=('dbt-core==1.11.16' 'dbt-duckdb==1.11.1' 'duckdb==1.5.5')
sqlmesh=('sqlmesh==0.236.4' 'duckdb==1.5.5')
airflow=('apache-airflow==3.3.2')
mkdir -p "$peers"

# Runs a command unless the stamp says that it was done for the same inputs.
once() {
  local stamp=$peers/$1 key=$2
  shift 2
  if [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$key" ]; then return; fi
  rm -f "$stamp"
  "$@"
  echo "$key" >"$stamp"
}

install_python() {
  [ -x "$python/bin/python" ] || python3 -m venv "$python"
  "$python/bin/pip" install --quiet --disable-pip-version-check "${requirements[@]}"
}

install_tool() {
  local folder=$peers/$1
  shift
  [ -x "$folder/bin/python" ] || python3 -m venv "$folder"
  "$folder/bin/pip" install --quiet --disable-pip-version-check "$@"
}

resolve() {
  rm -rf "$peers/$1/lib"
  mvn -q -B -f test/interop/java/pom.xml -P "$1" dependency:copy-dependencies -DoutputDirectory="$peers/$1/lib"
}

compile() {
  local classpath=$peers/$1/lib/\*
  rm -rf "$peers/$1/classes"
  mkdir -p "$peers/$1/classes"
  find test/interop/java/shared "test/interop/java/$1" -name '*.java' | sort -u | xargs javac -XDsuppressNotes -Xlint:none -d "$peers/$1/classes" -cp "$classpath"
}

once python.stamp "${requirements[*]}" install_python
"$python/bin/pip" list --format=freeze --disable-pip-version-check | grep -iE '^(pyiceberg|pyarrow|sqlalchemy|duckdb|duckdb_extension_iceberg|deltalake)='

# Tools that check recipes: one from its module, one of ours that reads files with the libraries of the software they are for.
install_actionlint() {
  GOBIN="$peers/go" go install "$1"
}

build_checker() {
  go build -C test/interop/recipes -o "$peers/go/recipes" .
}

once dbt.stamp "${dbt[*]}" install_tool dbt "${dbt[@]}"
once sqlmesh.stamp "${sqlmesh[*]}" install_tool sqlmesh "${sqlmesh[@]}"
once airflow.stamp "${airflow[*]}" install_tool airflow "${airflow[@]}"

if command -v go >/dev/null; then
  mkdir -p "$peers/go"
  actionlint=github.com/rhysd/actionlint/cmd/actionlint@v1.7.7
  once actionlint.stamp "$actionlint" install_actionlint "$actionlint"
  once recipes.stamp "$(cat test/interop/recipes/* | sha256sum | cut -c1-16)" build_checker
else
  echo 'Go is not here: the tools that check recipes were not installed'
fi

if command -v mvn >/dev/null && command -v javac >/dev/null; then
  poms=$(sha256sum test/interop/java/pom.xml | cut -c1-16)
  sources=$(find test/interop/java -name '*.java' | sort | xargs cat | sha256sum | cut -c1-16)
  for side in reference spark; do
    once "$side-lib.stamp" "$poms" resolve "$side"
    once "$side-classes.stamp" "$poms $sources" compile "$side"
  done
  find .peers/reference/lib .peers/spark/lib -regextype posix-extended -regex '.*/(iceberg-(core|spark-runtime-[^-]*)|spark-sql_[^-]*)-[0-9.]*\.jar' -printf '%f\n' | sort
else
  echo 'Java 17 with Maven is not here: the Java side was not installed'
fi
