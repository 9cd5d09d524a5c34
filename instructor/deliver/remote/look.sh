# What lies at $root; changes nothing. Lines begin with one word each, and lab-done ends what is whole. Where $since is a
# time of this laptop, only what has arrived and what was written since then is listed.
LC_ALL=C; export LC_ALL
if command -v sha256sum >/dev/null 2>&1; then sum="sha256sum"
elif command -v shasum >/dev/null 2>&1; then sum="shasum -a 256"
else echo "cannot it has neither sha256sum nor shasum"; exit 0; fi
case "$root" in /*) ;; *) root="$HOME/$root" ;; esac
echo "root $root"
echo "now $(date -u +%Y%m%d%H%M.%S)"
command -v rsync >/dev/null 2>&1 && echo "rsync yes"
place="$root"
while [ ! -e "$place" ]; do place=$(dirname "$place"); done
echo "free $(df -Pk "$place" | awk 'NR == 2 { print $4 }')"
if [ -w "$place" ]; then :; else echo "cannot $place cannot be written to"; exit 0; fi
if [ -e "$root" ] && [ ! -d "$root" ]; then echo "state no folder"; echo "lab-done"; exit 0; fi
if [ ! -d "$root" ] || [ -z "$(ls -A "$root")" ]; then echo "state absent"; echo "lab-done"; exit 0; fi
cd "$root" || { echo "cannot $root cannot be entered"; exit 0; }
if [ "$is_kit" = yes ] && [ ! -f kit.json ] && [ ! -d .delivery ] && [ ! -d lab_code ]; then echo "state other"; echo "lab-done"; exit 0; fi
echo "state kit"
[ -d .delivery ] && echo "unsettled yes"
sums=data/SHA256SUMS; newer=
if [ -n "$since" ] && TZ=UTC0 touch -t "$since" .delivery/since; then sums=; newer="-newer .delivery/since"; fi
for name in kit.json .delivery/kits/*.json $sums; do
  if [ -f "$name" ]; then echo "text $(wc -c < "$name") $name"; cat "$name"; echo; fi
done
echo "files"
[ -d .delivery/files ] && find .delivery/files -name .rsync-partial -prune -o -type f -exec $sum {} + 2>/dev/null
find . \( -name .venv -o -name __pycache__ -o -name .cache -o -name .ipynb_checkpoints -o -name .delivery \) -prune \
  -o -type f $newer -exec $sum {} + 2>/dev/null
echo "links"
find . \( -name .venv -o -name .delivery \) -prune -o -type l -print
echo "lab-done"
