#Requires -RunAsAdministrator
<#
.SYNOPSIS
Checks that both drivers are installed, signed and started, and that the settings are there.

NOT RUN HERE: written on Linux, never executed by this project.
#>
[CmdletBinding()]
param()

Set-StrictMode -Version Latest
$ErrorActionPreference = 'Stop'
$script:failed = 0

function Test-That([string] $what, [scriptblock] $check) {
    try { $good = [bool](& $check) } catch { $good = $false; Write-Host "      $_" }
    if (-not $good) { $script:failed++ }
    Write-Host ('{0}  {1}' -f $(if ($good) { 'ok  ' } else { 'FAIL' }), $what)
}

foreach ($service in 'xenbus_rs', 'netfront_rs') {
    Test-That "$service runs" { (Get-CimInstance Win32_SystemDriver -Filter "Name='$service'").State -eq 'Running' }
    Test-That "$service runs from the driver store" {
        (Get-CimInstance Win32_SystemDriver -Filter "Name='$service'").PathName -match '\\DriverStore\\FileRepository\\'
    }
    Test-That "$service has a valid signature" {
        $path = (Get-CimInstance Win32_SystemDriver -Filter "Name='$service'").PathName -replace '^\\\?\?\\', ''
        (Get-AuthenticodeSignature $path).Status -eq 'Valid'
    }
}

$buses = @(Get-PnpDevice | Where-Object { $_.InstanceId -match '^PCI\\VEN_5853&DEV_000[12]' })
Test-That 'one bus device, without problem' { $buses.Count -eq 1 -and $buses[0].Status -eq 'OK' }
$cards = @(Get-PnpDevice -InstanceId 'XENVIFBUS\*' -PresentOnly)
Test-That 'at least one network interface' { $cards.Count -ge 1 }
foreach ($card in $cards) { Test-That "$($card.InstanceId) without problem" { $card.Status -eq 'OK' } }

# Keyword, DisplayParameterType, default, and min and max of numbers: the rows of crates/keywords.
$settings = @(
    @('*JumboPacket', 2, '1514', 1514, 9014),
    @('*ReceiveBuffers', 1, '640', 384, 2048),
    @('*TransmitBuffers', 1, '256', 32, 256),
    @('SendInPlace', 5, '0', $null, $null),
    @('*PriorityVLANTag', 5, '3', $null, $null),
    @('VlanID', 2, '0', 0, 4094),
    @('*RSS', 5, '1', $null, $null),
    @('*NumRssQueues', 1, '8', 1, 32),
    @('*RSSProfile', 5, '4', $null, $null),
    @('*MaxRssProcessors', 1, '8', 1, 64),
    @('*RssBaseProcNumber', 1, '0', 0, 63),
    @('*RssBaseProcGroup', 1, '0', 0, 63),
    @('*RssMaxProcNumber', 1, '63', 0, 63),
    @('*RssMaxProcGroup', 1, '0', 0, 63),
    @('*NumaNodeId', 1, '65535', 0, 65535),
    @('RssHashUdp', 5, '1', $null, $null),
    @('*IPChecksumOffloadIPv4', 5, '3', $null, $null),
    @('*TCPChecksumOffloadIPv4', 5, '3', $null, $null),
    @('*TCPChecksumOffloadIPv6', 5, '3', $null, $null),
    @('*UDPChecksumOffloadIPv4', 5, '3', $null, $null),
    @('*UDPChecksumOffloadIPv6', 5, '3', $null, $null),
    @('*LsoV2IPv4', 5, '1', $null, $null),
    @('*LsoV2IPv6', 5, '1', $null, $null),
    @('*RscIPv4', 5, '1', $null, $null),
    @('*RscIPv6', 5, '1', $null, $null),
    @('*InterruptModeration', 5, '1', $null, $null)
)
foreach ($adapter in @(Get-NetAdapter | Where-Object DriverFileName -eq 'netfront.sys')) {
    Test-That "$($adapter.Name): NDIS 6.82 or later" { [version]("$($adapter.NdisVersion)") -ge [version]'6.82' }
    $properties = @(Get-NetAdapterAdvancedProperty -Name $adapter.Name)
    foreach ($row in $settings) {
        $keyword, $type, $default, $min, $max = $row
        Test-That "$($adapter.Name): $keyword" {
            $p = $properties | Where-Object RegistryKeyword -eq $keyword
            $p -and $p.DisplayParameterType -eq $type -and $p.DefaultRegistryValue -eq $default -and
                ($type -eq 5 -or ([int]$p.NumericParameterMinValue -eq $min -and [int]$p.NumericParameterMaxValue -eq $max))
        }
    }
    Test-That "$($adapter.Name): no other setting but NetworkAddress" {
        -not ($properties.RegistryKeyword | Where-Object { $_ -notin @($settings | ForEach-Object { $_[0] }) + 'NetworkAddress' })
    }
}
Write-Host "$script:failed checks failed"
exit $script:failed
