# Move the work of a class out of the kit, as archive.sh does. Written for Windows PowerShell 5.1, not tried there.
$ErrorActionPreference = 'Stop'
try {
  foreach ($top in $tops) {
    $target = "$into\$top"
    [void][IO.Directory]::CreateDirectory([IO.Path]::GetDirectoryName($target))
    Move-Item -Force -LiteralPath "$root\$top" -Destination $target
  }
  'lab-done'
} catch { "cannot $($_.Exception.Message -replace '\s+', ' ')" }
