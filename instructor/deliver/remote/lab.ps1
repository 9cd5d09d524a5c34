# Run `lab` with some words in the kit: doctor --json, status --json. Written for Windows PowerShell 5.1, not tried there.
[Console]::OutputEncoding = [Text.Encoding]::UTF8
if (-not [IO.Path]::IsPathRooted($root)) { $root = Join-Path $HOME $root }
if (-not (Test-Path -LiteralPath "$root\lab.cmd")) { "cannot there is no kit at $root" } else {
  Set-Location -LiteralPath $root
  & .\lab.cmd @($words -split ' ')
  ''
  'lab-done'
}
