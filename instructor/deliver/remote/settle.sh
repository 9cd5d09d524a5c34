# Put what has arrived in $root/.delivery/files in its place. Before it stand: root, document, touched; the functions
# drop_stale and drop_obsolete; kit_json writes the new kit.json.
LC_ALL=C; export LC_ALL
stop() { echo "cannot $1"; exit 1; }
cd "$root" || stop "$root cannot be entered"
mkdir -p .delivery/kits .delivery/files || stop "$root/.delivery cannot be made"
if [ -n "$document" ]; then
  kit_json > .delivery/kits/part && mv -f .delivery/kits/part ".delivery/kits/$document" || stop "kit.json cannot be written"
  TZ=UTC0 touch -t "$touched" ".delivery/kits/$document"
fi
cd .delivery/files && drop_stale
find . -name .rsync-partial -prune -exec rm -rf {} +
[ -f data/SHA256SUMS ] && mv -f data/SHA256SUMS ../kits/sums
find . -type d | while IFS= read -r folder; do
  mkdir -p "$root/$folder" || exit 1
  find "$folder" -maxdepth 1 -type f -exec sh -c 'mv -f "$@" "$0/"' "$root/$folder" {} + || exit 1
done || stop "some files could not be put in their place"
cd "$root" && drop_obsolete
if [ -f .delivery/kits/sums ]; then mkdir -p data && mv -f .delivery/kits/sums data/SHA256SUMS; fi
if [ -n "$document" ]; then mv -f ".delivery/kits/$document" kit.json || stop "kit.json could not be put in its place"; fi
rm -rf .delivery
echo "lab-done"
