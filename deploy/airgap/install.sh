#!/bin/sh
# Installs nacre from the folder that this lies in, without a network, into an environment:
#   sh bundle/install.sh /opt/nacre
#   sh bundle/install.sh /opt/nacre --extra report --engine podman
set -eu
usage="usage: sh install.sh TARGET [--extra NAME]... [--engine 'docker|podman OPTIONS']

  --extra   as bundle.sh was given it
  --engine  also loads the images, with this"
here=$(cd "$(dirname "$0")" && pwd)
target= extras= engine=
refuse() { echo "error: $1" >&2; echo "$usage" >&2; exit 2; }
while [ $# -gt 0 ]; do
  case $1 in
    -h | --help) echo "$usage"; exit 0 ;;
    --extra | --engine)
      [ $# -gt 1 ] || refuse "expected a value after $1, found none"
      case $1 in --extra) extras="${extras:+$extras,}$2" ;; --engine) engine=$2 ;; esac
      shift 2 ;;
    -*) refuse "expected an option of these, found $1" ;;
    *) [ -z "$target" ] || refuse "expected one folder, found $target and $1"; target=$1; shift ;;
  esac
done
[ -n "$target" ] || refuse "expected a folder to install into, found none"

echo "checking digests"
cd "$here"
if ! sha256sum --check --strict --quiet SHA256SUMS; then
  echo "error: expected the files of $here as they were gathered, found others (above): carry the" \
    "folder over again" >&2
  exit 4
fi
listed=$(wc -l < SHA256SUMS)
found=$(find . -type f ! -name SHA256SUMS | wc -l)
if [ "$listed" -ne "$found" ]; then
  echo "error: expected the $listed files that SHA256SUMS names, found $found: remove what was" \
    "added to $here" >&2
  exit 4
fi

python=${PYTHON:-python3}
kind='import platform, sys; print("Python %d.%d on %s" % (*sys.version_info[:2], platform.machine()))'
if ! found=$("$python" -c "$kind") || ! "$python" -c 'import venv, ensurepip' 2> /dev/null; then
  echo "error: expected a Python with venv as $python, found none; install Debian's python3-venv, or" \
    "name another one by PYTHON" >&2
  exit 4
fi
if [ "$found" != "$(cat KIND)" ]; then
  echo "error: expected $(cat KIND), for which these wheels were gathered, found $found; name such a" \
    "one by PYTHON, or gather them with that one" >&2
  exit 4
fi
echo "installing into $target"
"$python" -m venv "$target"
"$target/bin/python" -m pip install --quiet --disable-pip-version-check --no-index --no-cache-dir \
  --find-links wheels --constraint constraints.txt "nacre${extras:+[$extras]}"
if [ -n "$engine" ]; then
  for image in images/*.tar; do
    [ -e "$image" ] || continue
    echo "loading $image"
    $engine load -i "$image"
  done
fi
"$target/bin/nacre" --version
for each in weights/*; do
  if [ -e "$each" ]; then echo "weights: $here/$each, to be named in nacre.yaml"; fi
done
echo "installed; $target/bin/nacre up starts it"
