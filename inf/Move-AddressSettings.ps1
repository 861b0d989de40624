#Requires -RunAsAdministrator
<#
.SYNOPSIS
Carries static addresses from the network cards a guest has now to those of netfront.sys.

.DESCRIPTION
To Windows the new card is a new device, which starts with DHCP. Save before the drivers are
changed; restore when the new cards are there. Cards are matched by their MAC address, which the
vif keeps. Settings made by DHCP or by the network itself are not touched.

Written on Linux and never run by its authors: look at the saved file before you rely on it, and
have the console at hand.

.EXAMPLE
.\Move-AddressSettings.ps1 -Save C:\addresses.json
.EXAMPLE
.\Move-AddressSettings.ps1 -Restore C:\addresses.json -WhatIf
#>
[CmdletBinding(SupportsShouldProcess)]
param(
    [Parameter(Mandatory, ParameterSetName = 'Save')] [string] $Save,
    [Parameter(Mandatory, ParameterSetName = 'Restore')] [string] $Restore
)

Set-StrictMode -Version Latest
$ErrorActionPreference = 'Stop'

function Get-Settings($adapter) {
    $index = $adapter.InterfaceIndex
    $addresses = @(Get-NetIPAddress -InterfaceIndex $index -ErrorAction SilentlyContinue |
        Where-Object PrefixOrigin -eq 'Manual' |
        ForEach-Object { @{ Address = $_.IPAddress; Length = $_.PrefixLength; Family = "$($_.AddressFamily)" } })
    $routes = @(Get-NetRoute -InterfaceIndex $index -PolicyStore PersistentStore -ErrorAction SilentlyContinue |
        Where-Object { $_.NextHop -notin '0.0.0.0', '::' } |
        ForEach-Object { @{ Prefix = $_.DestinationPrefix; NextHop = $_.NextHop; Metric = $_.RouteMetric } })
    # Servers set by hand are in the registry; those of DHCP are elsewhere.
    $servers = foreach ($stack in 'Tcpip', 'Tcpip6') {
        $key = "HKLM:\SYSTEM\CurrentControlSet\Services\$stack\Parameters\Interfaces\$($adapter.InterfaceGuid)"
        $text = (Get-Item $key -ErrorAction SilentlyContinue | ForEach-Object { $_.GetValue('NameServer') })
        if ($text) { $text -split '[, ]+' }
    }
    @{
        Mac = $adapter.PermanentAddress
        Name = $adapter.Name
        Addresses = $addresses
        Routes = $routes
        DnsServers = @($servers | Where-Object { $_ })
    }
}

if ($PSCmdlet.ParameterSetName -eq 'Save') {
    $all = @(Get-NetAdapter | Where-Object PermanentAddress | ForEach-Object { Get-Settings $_ } |
        Where-Object { $_.Addresses.Count + $_.Routes.Count + $_.DnsServers.Count -gt 0 })
    ConvertTo-Json -InputObject $all -Depth 4 | Set-Content -Path $Save -Encoding UTF8
    Write-Host "$($all.Count) cards with static settings saved to $Save"
    return
}

foreach ($saved in @(Get-Content -Path $Restore -Raw | ConvertFrom-Json)) {
    $adapter = @(Get-NetAdapter | Where-Object {
        $_.DriverFileName -eq 'netfront.sys' -and $_.PermanentAddress -eq $saved.Mac
    })
    if ($adapter.Count -ne 1) {
        Write-Warning "$($saved.Name) ($($saved.Mac)): $($adapter.Count) netfront cards have its MAC address; left out"
        continue
    }
    $index = $adapter[0].InterfaceIndex
    if (-not $PSCmdlet.ShouldProcess("$($adapter[0].Name) ($($saved.Mac))", 'set static addresses')) { continue }
    foreach ($family in @($saved.Addresses | ForEach-Object Family | Select-Object -Unique)) {
        Set-NetIPInterface -InterfaceIndex $index -AddressFamily $family -Dhcp Disabled
    }
    foreach ($address in $saved.Addresses) {
        if (-not (Get-NetIPAddress -InterfaceIndex $index -IPAddress $address.Address -ErrorAction SilentlyContinue)) {
            New-NetIPAddress -InterfaceIndex $index -IPAddress $address.Address -PrefixLength $address.Length | Out-Null
        }
    }
    foreach ($route in $saved.Routes) {
        if (-not (Get-NetRoute -InterfaceIndex $index -DestinationPrefix $route.Prefix -NextHop $route.NextHop -ErrorAction SilentlyContinue)) {
            New-NetRoute -InterfaceIndex $index -DestinationPrefix $route.Prefix -NextHop $route.NextHop -RouteMetric $route.Metric | Out-Null
        }
    }
    if (@($saved.DnsServers).Count -gt 0) {
        Set-DnsClientServerAddress -InterfaceIndex $index -ServerAddresses $saved.DnsServers
    }
    Write-Host "$($adapter[0].Name): done"
}
