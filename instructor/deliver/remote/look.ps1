# What lies at $root; changes nothing. It says the same as look.sh. Written for Windows PowerShell 5.1, not tried there.
$ErrorActionPreference = 'Stop'
$out = New-Object IO.StreamWriter([Console]::OpenStandardOutput(), (New-Object Text.UTF8Encoding($false)))
$out.NewLine = "`n"
function Say($line) { $script:out.WriteLine($line) }
try {
  if (-not [IO.Path]::IsPathRooted($root)) { $root = Join-Path $HOME $root }
  $root = [IO.Path]::GetFullPath($root)
  Say "root $($root.Replace('\', '/'))"
  Say "free $([long]([IO.DriveInfo]::new([IO.Path]::GetPathRoot($root)).AvailableFreeSpace / 1024))"
  if ([IO.File]::Exists($root)) { Say 'state no folder' }
  elseif (-not [IO.Directory]::Exists($root) -or -not (Get-ChildItem -Force -LiteralPath $root | Select-Object -First 1)) { Say 'state absent' }
  elseif ($is_kit -eq 'yes' -and -not (Test-Path -LiteralPath "$root\kit.json") -and -not (Test-Path -LiteralPath "$root\.delivery") -and -not (Test-Path -LiteralPath "$root\lab_code")) { Say 'state other' }
  else {
    Say 'state kit'
    if (Test-Path -LiteralPath "$root\.delivery") { Say 'unsettled yes' }
    $names = @('kit.json') + @(Get-ChildItem "$root\.delivery\kits\*.json" -ErrorAction SilentlyContinue | ForEach-Object { ".delivery/kits/$($_.Name)" }) + @('data/SHA256SUMS')
    foreach ($name in $names) {
      if (Test-Path -LiteralPath "$root\$name") {
        $bytes = [IO.File]::ReadAllBytes("$root\$name")
        Say "text $($bytes.Length) $name"
        $out.Flush(); $out.BaseStream.Write($bytes, 0, $bytes.Length)
        Say ''
      }
    }
    Say 'files'
    $links = @()
    $waiting = New-Object Collections.Stack
    $waiting.Push($root)
    $skipped = '.venv', '__pycache__', '.cache', '.ipynb_checkpoints', '.rsync-partial'
    while ($waiting.Count) {
      foreach ($item in Get-ChildItem -Force -LiteralPath $waiting.Pop()) {
        $name = $item.FullName.Substring($root.Length + 1).Replace('\', '/')
        if ($item.Attributes -band [IO.FileAttributes]::ReparsePoint) { $links += $name }
        elseif ($item.PSIsContainer) { if ($skipped -notcontains $item.Name -and $name -ne '.delivery/kits') { $waiting.Push($item.FullName) } }
        else { Say "$((Get-FileHash -Algorithm SHA256 -LiteralPath $item.FullName).Hash.ToLower())  ./$name" }
      }
    }
    Say 'links'
    foreach ($name in $links) { Say "./$name" }
  }
  Say 'lab-done'
} catch { Say "cannot $($_.Exception.Message -replace '\s+', ' ')" }
$out.Flush()
