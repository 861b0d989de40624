#Requires -RunAsAdministrator
<#
.SYNOPSIS
Checks traffic of a netfront adapter against a host that answers pings and runs `iperf3 -s`.

.DESCRIPTION
Also changes *JumboPacket to every kind of bad value: the adapter must come up with the default.
The adapter restarts several times: run this from the console, not over the adapter.

NOT RUN HERE: written on Linux, never executed by this project.
#>
[CmdletBinding()]
param(
    [Parameter(Mandatory)] [string] $Adapter,
    [Parameter(Mandatory)] [string] $Peer,
    [string] $Iperf = 'iperf3.exe',
    [int] $Seconds = 10
)

Set-StrictMode -Version Latest
$ErrorActionPreference = 'Stop'
$script:failed = 0

function Test-That([string] $what, [scriptblock] $check) {
    try { $good = [bool](& $check) } catch { $good = $false; Write-Host "      $_" }
    if (-not $good) { $script:failed++ }
    Write-Host ('{0}  {1}' -f $(if ($good) { 'ok  ' } else { 'FAIL' }), $what)
}

function Wait-Link {
    $end = (Get-Date).AddSeconds(60)
    while ((Get-Date) -lt $end) {
        if ((Get-NetAdapter -Name $Adapter).Status -eq 'Up' -and (Test-Connection $Peer -Count 1 -Quiet)) { return $true }
        Start-Sleep -Seconds 1
    }
    $false
}

Test-That 'link and peer' { Wait-Link }
foreach ($size in 0, 1, 32, 1472, 1473, 8000, 65000) {
    Test-That "ping with $size bytes" { (ping.exe -n 3 -l $size $Peer | Select-String 'TTL=').Count -eq 3 }
}
foreach ($direction in @(), @('-R')) {
    foreach ($streams in 1, 8) {
        $before = Get-NetAdapterStatistics -Name $Adapter
        Test-That "TCP, $streams streams $direction" {
            $result = & $Iperf -c $Peer -J -t $Seconds -P $streams @direction | ConvertFrom-Json
            $rate = $result.end.sum_received.bits_per_second
            Write-Host ('      {0:N0} Mbit/s' -f ($rate / 1e6))
            $rate -gt 0
        }
        Test-That 'no errors counted' {
            $after = Get-NetAdapterStatistics -Name $Adapter
            $after.ReceivedPacketErrors -eq $before.ReceivedPacketErrors -and
                $after.OutboundPacketErrors -eq $before.OutboundPacketErrors
        }
    }
}

# With one queue there is no RSS.
$rss = Get-NetAdapterRss -Name $Adapter -ErrorAction SilentlyContinue
Write-Host ('info  RSS: {0}' -f $(if ($rss -and $rss.Enabled) { "$($rss.NumberOfReceiveQueues) queues" } else { 'not offered' }))

$key = '*JumboPacket'
$old = (Get-NetAdapterAdvancedProperty -Name $Adapter -RegistryKeyword $key).RegistryValue
# Straight into the registry: Device Manager and the cmdlets refuse bad values.
$path = (Get-ChildItem 'HKLM:\SYSTEM\CurrentControlSet\Control\Class\{4d36e972-e325-11ce-bfc1-08002be10318}' -ErrorAction SilentlyContinue |
    Where-Object { $_.GetValue('NetCfgInstanceId') -eq (Get-NetAdapter -Name $Adapter).InterfaceGuid }).PSPath
try {
    foreach ($value in '9014', '0', '1513', '9015', '4294967296', '-1', '0x5EA', 'garbage') {
        Set-ItemProperty -Path $path -Name $key -Value $value -Type String
        Restart-NetAdapter -Name $Adapter
        $wanted = if ($value -eq '9014') { 9000 } else { 1500 }
        Test-That "$key = $value" {
            (Wait-Link) -and (Get-NetAdapter -Name $Adapter).MtuSize -le $wanted
        }
    }
} finally {
    Set-ItemProperty -Path $path -Name $key -Value "$old" -Type String
    Restart-NetAdapter -Name $Adapter
}
Write-Host "$script:failed checks failed"
exit $script:failed
