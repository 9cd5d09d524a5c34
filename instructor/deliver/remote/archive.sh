# Move what move_work names from $root to the new folder $into, on the same disk.
stop() { echo "cannot $1"; exit 1; }
cd "$root" || stop "$root cannot be entered"
mkdir -p "$into" && chmod 700 "$(dirname "$into")" || stop "$into cannot be made"
move_work || stop "the work could not be moved to $into"
echo "lab-done"
