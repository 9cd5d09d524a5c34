#!/bin/sh
# Makes this kit's environment and tries the laptop: sh setup.sh   (run again: mends what is broken; --help: more)
# Packages come from a folder `wheels` beside the kit or on a stick, and so does Python where this laptop has none.
here=$(cd "$(dirname "$0")" && pwd) || exit 1
mine="$here/.cache/python/python/bin/python3"

works() {  # whether this is Python 3.11 or newer; macOS's own program without one behind it opens a window instead
  if [ "$(uname -s)" = Darwin ] && [ "$(command -v "$1")" = /usr/bin/python3 ] && ! xcode-select -p >/dev/null 2>&1; then
    return 1
  fi
  "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1
}

for python in "$mine" python3 python3.13 python3.12 python3.11 python; do
  if works "$python"; then exec "$python" "$here/lab" setup "$@"; fi
done

case "$(uname -s)-$(uname -m)" in
  Linux-x86_64) kind=x86_64-unknown-linux-gnu ;;
  Linux-aarch64) kind=aarch64-unknown-linux-gnu ;;
  Darwin-arm64) kind=aarch64-apple-darwin ;;
  Darwin-x86_64) kind=x86_64-apple-darwin ;;
  *) kind=none ;;
esac
given=
[ "$1" = --wheels ] && given=$2
for wheels in "$given" "$here/wheels" "$here/../wheels" "$here/../../wheels" /media/*/wheels /media/*/*/wheels \
  /media/*/*/*/wheels /run/media/*/*/wheels /run/media/*/*/*/wheels /mnt/*/wheels /Volumes/*/wheels /Volumes/*/*/wheels; do
  for archive in "$wheels"/python/cpython-*-"$kind"-*.tar.gz; do
    [ -f "$archive" ] || continue
    echo "this laptop has no Python 3.11 or newer; unpacking the one in $archive" >&2
    half="$here/.cache/python.half"
    rm -rf "$half" "$here/.cache/python"
    if mkdir -p "$half" && tar -xzf "$archive" -C "$half" && mv "$half" "$here/.cache/python" && works "$mine"; then
      "$mine" "$here/lab" setup "$@" || exit
      echo "in every new terminal, before ./lab:  source .venv/bin/activate" >&2
      exit 0
    fi
    echo "error: $archive could not be unpacked, or does not run here" >&2
    echo "hint: is there room for 100 MB? else copy the folder wheels again, then: sh setup.sh" >&2
    rm -rf "$half"
    exit 1
  done
done
echo "error: this laptop has no Python 3.11 or newer, and there is none in a folder wheels/python" >&2
echo "hint: what to do, step by step: $here/no-python.html" >&2
[ -t 1 ] && [ "$(uname -s)" = Darwin ] && open "$here/no-python.html"
exit 1
