# Put what has arrived in its place, as settle.sh does. Written for Windows PowerShell 5.1, not tried there.
$ErrorActionPreference = 'Stop'
function Put($from, $to) {
  [void][IO.Directory]::CreateDirectory([IO.Path]::GetDirectoryName($to))
  if ([IO.File]::Exists($to)) { [IO.File]::Delete($to) }
  [IO.File]::Move($from, $to)
}
try {
  $files = "$root\.delivery\files"
  [void][IO.Directory]::CreateDirectory($files)
  [void][IO.Directory]::CreateDirectory("$root\.delivery\kits")
  if ($document) { [IO.File]::WriteAllText("$root\.delivery\kits\$document", $text, (New-Object Text.UTF8Encoding($false))) }
  foreach ($name in $stale) { Remove-Item -Force -LiteralPath "$files\$name" -ErrorAction SilentlyContinue }
  $base = (Get-Item -LiteralPath $files).FullName
  foreach ($item in @(Get-ChildItem -Force -Recurse -File -LiteralPath $base)) { Put $item.FullName ($root + $item.FullName.Substring($base.Length)) }
  foreach ($name in $obsolete) { Remove-Item -Force -LiteralPath "$root\$name" -ErrorAction SilentlyContinue }
  foreach ($name in $empty) { if (-not (Get-ChildItem -Force -LiteralPath "$root\$name" -ErrorAction SilentlyContinue)) { Remove-Item -LiteralPath "$root\$name" -ErrorAction SilentlyContinue } }
  if ($document) { Put "$root\.delivery\kits\$document" "$root\kit.json" }
  Remove-Item -Recurse -Force -LiteralPath "$root\.delivery"
  'lab-done'
} catch { "cannot $($_.Exception.Message -replace '\s+', ' ')" }
