#!/bin/sh
# Double-click (macOS): makes this kit's environment and tries the laptop, without a network where wheels are at hand.
sh "$(dirname "$0")/setup.sh" "$@"
code=$?
[ -t 0 ] && { printf 'Press Return to close this window. '; read -r _; }
exit $code
