# Run `lab` with some words in the kit at $root: doctor --json, status --json.
case "$root" in /*) ;; *) root="$HOME/$root" ;; esac
if [ ! -f "$root/lab" ]; then echo "cannot there is no kit at $root"; exit 0; fi
cd "$root" || { echo "cannot $root cannot be entered"; exit 0; }
python=python3
[ -x .venv/bin/python ] && python=.venv/bin/python
command -v "$python" >/dev/null 2>&1 || { echo "cannot it has no python3 and the kit no environment: ./lab setup"; exit 0; }
# Whoever comes over SSH has no screen: browsers are looked for as the group will find them.
DISPLAY="${DISPLAY:-:0}"; export DISPLAY
# shellcheck disable=SC2086  # words are several
"$python" lab $words </dev/null
echo
echo "lab-done"
