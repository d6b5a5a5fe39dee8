#!/bin/sh
# Gathers everything that a machine without a network needs to run nacre: wheels, weights, images and
# a list of their digests. Call it in a checkout, on a machine with a network and the same Python:
#   sh deploy/airgap/bundle.sh bundle
#   sh deploy/airgap/bundle.sh bundle --weights ViT-B-32.safetensors --image nacre --engine podman
# There, after the folder was carried over:
#   sh bundle/install.sh /opt/nacre
set -eu
usage="usage: sh deploy/airgap/bundle.sh FOLDER [--extra NAME]... [--weights PATH]...
  [--image NAME]... [--engine 'docker|podman OPTIONS']

  --extra    of pyproject.toml: heif, report, huggingface
  --weights  a file or folder with an encoder's weights
  --image    an image of this machine, saved as a tar
  --engine   what saves images [default: docker]

pip's own configuration decides where wheels come from, and so which build of torch."
root=$(cd "$(dirname "$0")/../.." && pwd)
folder= extras= weights= images= engine=docker
refuse() { echo "error: $1" >&2; echo "$usage" >&2; exit 2; }
[ $# -gt 0 ] || refuse "expected a folder, found none"
while [ $# -gt 0 ]; do
  case $1 in
    -h | --help) echo "$usage"; exit 0 ;;
    --extra | --weights | --image | --engine)
      [ $# -gt 1 ] || refuse "expected a value after $1, found none"
      case $1 in
        --extra) extras="$extras,$2" ;;
        --weights) weights="$weights$2
" ;;
        --image) images="$images$2
" ;;
        --engine) engine=$2 ;;
      esac
      shift 2 ;;
    -*) refuse "expected an option of these, found $1" ;;
    *) [ -z "$folder" ] || refuse "expected one folder, found $folder and $1"; folder=$1; shift ;;
  esac
done
[ -n "$folder" ] || refuse "expected a folder, found none"
if [ -e "$folder" ] && [ -n "$(ls -A "$folder")" ]; then
  refuse "expected a new or an empty folder, found files in $folder"
fi
python=${PYTHON:-python3}
mkdir -p "$folder/wheels" "$folder/weights" "$folder/images"
folder=$(cd "$folder" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM

echo "wheels of nacre and of all that it needs (minutes where torch is fetched)"
cd "$root"
if ! "$python" -m pip --version > /dev/null 2>&1; then
  "$python" -m venv "$work/venv"
  python="$work/venv/bin/python"
fi
pip="$python -m pip --quiet --disable-pip-version-check"
"$python" deploy/docker/requirements.py "$extras" > "$work/requirements.txt"
# What an image is built with, and what installs here and there.
printf '%s\n' cyclonedx-bom pip setuptools >> "$work/requirements.txt"
# A clone has no files of earlier builds, which would get into the wheel; it has what is committed.
source=$root
if [ -e .git ]; then git clone --quiet "file://$root" "$work/nacre" && source="$work/nacre"; fi
$pip wheel --no-deps --wheel-dir "$folder/wheels" "$source"
$pip wheel --wheel-dir "$folder/wheels" --constraint constraints.txt \
  --requirement "$work/requirements.txt"
cp constraints.txt "$folder/"
cp deploy/airgap/install.sh "$folder/"
# Wheels are of one Python and one processor; with others pip would only say that it finds none.
kind='import platform, sys; print("Python %d.%d on %s" % (*sys.version_info[:2], platform.machine()))'
"$python" -c "$kind" > "$folder/KIND"

printf '%s' "$weights" | while IFS= read -r each; do
  echo "weights: $each"
  cp -R "$each" "$folder/weights/"
done
printf '%s' "$images" | while IFS= read -r each; do
  echo "image: $each"
  # The name of a file can hold neither the slashes nor the colon of an image's.
  $engine save -o "$folder/images/$(printf %s "$each" | tr '/:' '__').tar" "$each"
done

echo "digests"
cd "$folder"
find . -type f ! -name SHA256SUMS | LC_ALL=C sort | while IFS= read -r each; do
  sha256sum "$each"
done > SHA256SUMS
echo "$(find wheels -name '*.whl' | wc -l) wheels, $(wc -l < SHA256SUMS) files," \
  "$(du -sh . | cut -f1) in $folder; there: sh $(basename "$folder")/install.sh TARGET"
