# Make the folder into which files arrive. Written for Windows PowerShell 5.1, not tried there.
try {
  if (-not [IO.Path]::IsPathRooted($folder)) { $folder = Join-Path $HOME $folder }
  [void][IO.Directory]::CreateDirectory($folder)
  'lab-done'
} catch { "cannot $($_.Exception.Message -replace '\s+', ' ')" }
