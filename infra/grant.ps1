<#
.SYNOPSIS
Gives a source of Chainmail access to Microsoft 365, takes it back, or makes the console's app registration.

.DESCRIPTION
One app registration for each source. What is there already is left as it is: the script may be run again at any time.
Every step says which role whoever runs it needs; -WhatIf shows the steps and changes nothing; -Remove takes back what a run
has made.

-Scope tenant grants Mail.Read and Calendars.Read in Microsoft Entra ID: to every mailbox of the tenant.
-Scope group grants them through RBAC for Applications in Exchange Online: to the direct members of one mail-enabled security
group, and to nobody else. Grants are a union: while an app also holds Mail.Read or Calendars.Read in Microsoft Entra ID the
group limits nothing, and the script says so.

It needs the modules Microsoft.Graph.Applications and, for -Scope group, ExchangeOnlineManagement; for -KeyVault, Az.KeyVault.

.EXAMPLE
./grant.ps1 -Source o365-mail -Scope group -MailGroup custodians@contoso.com -KeyVault chainmail-kv-x -Setting O365_MAIL_SECRET

.EXAMPLE
./grant.ps1 -Source o365-mail -Scope tenant -Credential federated -IdentityPrincipalId 00000000-0000-0000-0000-000000000000

.EXAMPLE
./grant.ps1 -Console -HostName chainmail-x-func.azurewebsites.net -Operators 00000000-0000-0000-0000-000000000000
#>
#Requires -Version 5.1
[CmdletBinding(SupportsShouldProcess, DefaultParameterSetName = 'Source', ConfirmImpact = 'Medium')]
param(
    # Name of the source in sources.json.
    [Parameter(Mandatory, ParameterSetName = 'Source')]
    [ValidatePattern('^[a-z0-9-]{1,24}$')]
    [string] $Source,

    # Who may be read: every mailbox of the tenant, or the members of a group.
    [Parameter(ParameterSetName = 'Source')]
    [ValidateSet('tenant', 'group')]
    [string] $Scope = 'group',

    # The mail-enabled security group of -Scope group. Members of nested groups do not count.
    [Parameter(ParameterSetName = 'Source')]
    [string] $MailGroup,

    # What is collected, as "collect" of the source.
    [Parameter(ParameterSetName = 'Source')]
    [ValidateSet('email', 'calendar')]
    [string[]] $Collect = @('email', 'calendar'),

    # The source has individuals from groups: GroupMember.Read.All on top.
    [Parameter(ParameterSetName = 'Source')]
    [switch] $Groups,

    # How the source signs in, as credential.kind. With managedIdentity there is no app registration: the app's identity itself
    # gets the permissions. A certificate is put into the registration and the vault by hand.
    [Parameter(ParameterSetName = 'Source')]
    [ValidateSet('secret', 'certificate', 'federated', 'managedIdentity')]
    [string] $Credential = 'secret',

    # Object id of the app's identity: output identityPrincipalId of the deployment.
    [Parameter(ParameterSetName = 'Source')]
    [string] $IdentityPrincipalId,

    # Vault that gets the secret: output vaultName of the deployment. Without it no secret is made.
    [Parameter(ParameterSetName = 'Source')]
    [string] $KeyVault,

    # credential.setting of the source.
    [Parameter(ParameterSetName = 'Source')]
    [ValidatePattern('^[A-Z][A-Z0-9_]*$')]
    [string] $Setting,

    # Months for which a new secret is good.
    [Parameter(ParameterSetName = 'Source')]
    [ValidateRange(1, 24)]
    [int] $Months = 6,

    # Make a new secret though the one in the vault is good for longer than 30 days.
    [Parameter(ParameterSetName = 'Source')]
    [switch] $Rotate,

    # A mailbox outside the group, for the proof that it cannot be read.
    [Parameter(ParameterSetName = 'Source')]
    [string] $Outsider,

    # Make the console's app registration.
    [Parameter(Mandatory, ParameterSetName = 'Console')]
    [switch] $Console,

    # Host name of the function app: output hostName of the deployment.
    [Parameter(ParameterSetName = 'Console')]
    [string] $HostName,

    # Object ids of the people or groups that may act.
    [Parameter(ParameterSetName = 'Console')]
    [string[]] $Operators = @(),

    # Object ids of the people or groups that may look.
    [Parameter(ParameterSetName = 'Console')]
    [string[]] $Readers = @(),

    # Microsoft's cloud of the tenant.
    [ValidateSet('public', 'usgov', 'usgovdod', 'china')]
    [string] $Cloud = 'public',

    # Take back what a run with the same parameters has made.
    [switch] $Remove
)

Set-StrictMode -Version Latest
$ErrorActionPreference = 'Stop'
$InformationPreference = 'Continue'
$caller = $PSCmdlet

# Names that the clouds have in the modules, and the audience of federated credentials.
$clouds = @{
    public   = @{ Graph = 'Global'; Exchange = 'O365Default'; Login = 'https://login.microsoftonline.com'; Audience = 'api://AzureADTokenExchange' }
    usgov    = @{ Graph = 'USGov'; Exchange = 'O365USGovGCCHigh'; Login = 'https://login.microsoftonline.us'; Audience = 'api://AzureADTokenExchangeUSGov' }
    usgovdod = @{ Graph = 'USGovDoD'; Exchange = 'O365USGovDoD'; Login = 'https://login.microsoftonline.us'; Audience = 'api://AzureADTokenExchangeUSGov' }
    china    = @{ Graph = 'China'; Exchange = 'O365China'; Login = 'https://login.partner.microsoftonline.cn'; Audience = 'api://AzureADTokenExchangeChina' }
}
$there = $clouds[$Cloud]
$microsoftGraph = '00000003-0000-0000-c000-000000000000'
$azureCli = '04b07795-8ddb-461a-bbee-02f9e1bf7b46'
$name = if ($Console) { 'chainmail-console' } else { "chainmail-$Source" }

# Says what is to be done and which role that needs, and whether it is to be done.
function Confirm-Step {
    param([string] $Target, [string] $Action, [string] $Role)
    Write-Information "${Target}: $Action (needs $Role)"
    $caller.ShouldProcess($Target, $Action)
}

function Get-OneApplication {
    $found = @(Get-MgApplication -Filter "displayName eq '$name'" -All)
    if ($found.Count -gt 1) {
        throw "There are $($found.Count) app registrations named ${name}: rename all but the one that sources.json names."
    }
    if ($found.Count -eq 1) { $found[0] }
}

function Get-PrincipalOf {
    param([string] $AppId)
    Get-MgServicePrincipal -Filter "appId eq '$AppId'" -All | Select-Object -First 1
}

# The app registration, made where it is missing; nothing under -WhatIf while there is none.
function Register-Application {
    param([hashtable] $With = @{})
    $app = Get-OneApplication
    if (-not $app -and (Confirm-Step $name 'make the app registration' 'Cloud Application Administrator')) {
        $app = New-MgApplication -DisplayName $name -SignInAudience AzureADMyOrg @With -Confirm:$false
    }
    $app
}

function Register-Principal {
    param($App)
    $principal = Get-PrincipalOf $App.AppId
    if (-not $principal -and (Confirm-Step $name 'make its service principal' 'Cloud Application Administrator')) {
        $principal = New-MgServicePrincipal -AppId $App.AppId -Confirm:$false
    }
    $principal
}

# The application permissions of Microsoft Graph that the principal holds, by name.
function Get-GraphGrant {
    param($Principal, $Graph)
    $names = @{}
    foreach ($role in $Graph.AppRoles) { $names["$($role.Id)"] = $role.Value }
    Get-MgServicePrincipalAppRoleAssignment -ServicePrincipalId $Principal.Id -All |
        Where-Object { $_.ResourceId -eq $Graph.Id } |
        ForEach-Object { [pscustomobject]@{ Id = $_.Id; Permission = $names["$($_.AppRoleId)"] } }
}

function Grant-GraphPermission {
    param($Principal, $Graph, [string[]] $Permissions)
    $held = @(Get-GraphGrant $Principal $Graph | ForEach-Object { $_.Permission })
    foreach ($permission in $Permissions) {
        if ($held -contains $permission) {
            Write-Information "${name}: $permission is granted already"
            continue
        }
        $role = $Graph.AppRoles | Where-Object { $_.Value -eq $permission -and $_.AllowedMemberTypes -contains 'Application' }
        if (Confirm-Step $name "grant $permission in the whole tenant" 'Privileged Role Administrator') {
            $null = New-MgServicePrincipalAppRoleAssignment -ServicePrincipalId $Principal.Id -PrincipalId $Principal.Id `
                -ResourceId $Graph.Id -AppRoleId $role.Id -Confirm:$false
        }
    }
}

# Grants are a union: what Microsoft Entra ID grants for all mailboxes no scope of Exchange takes away.
function Write-TenantGrant {
    param($Principal, $Graph)
    $wide = @(Get-GraphGrant $Principal $Graph | Where-Object { $_.Permission -match '^(Mail|Calendars)\.' } | ForEach-Object { $_.Permission })
    if ($wide.Count -gt 0) {
        Write-Warning ("$name also holds $($wide -join ', ') in Microsoft Entra ID, for every mailbox of the tenant. Grants are a union: " +
            'the group limits nothing until an administrator removes that at App registrations, API permissions.')
    }
}

function Grant-ExchangeRole {
    param($Principal, [string[]] $Permissions)
    $group = Get-DistributionGroup -Identity $MailGroup
    if (-not (Get-ServicePrincipal | Where-Object { $_.ObjectId -eq $Principal.Id }) -and
        (Confirm-Step $name 'make it known to Exchange Online' 'Exchange Administrator')) {
        $null = New-ServicePrincipal -AppId $Principal.AppId -ObjectId $Principal.Id -DisplayName $name
    }
    $filter = "MemberOfGroup -eq '$($group.DistinguishedName -replace "'", "''")'"
    $known = Get-ManagementScope | Where-Object { $_.Name -eq $name }
    if (-not $known) {
        if (Confirm-Step $name "make the scope: members of $MailGroup" 'Exchange Administrator') {
            $null = New-ManagementScope -Name $name -RecipientRestrictionFilter $filter
        }
    } elseif ($known.RecipientFilter -ne $filter -and (Confirm-Step $name "point the scope to $MailGroup" 'Exchange Administrator')) {
        Set-ManagementScope -Identity $name -RecipientRestrictionFilter $filter
    }
    foreach ($permission in $Permissions) {
        $title = "$name $permission"
        if (Get-ManagementRoleAssignment | Where-Object { $_.Name -eq $title }) {
            Write-Information "${name}: Application $permission is assigned already"
        } elseif (Confirm-Step $name "assign Application $permission within the scope" 'Exchange Administrator, in the role group Organization Management') {
            $null = New-ManagementRoleAssignment -Name $title -App $Principal.Id -Role "Application $permission" -CustomResourceScope $name
        }
    }
    Write-Proof $Principal
}

# Shows what Exchange allows: within the group yes, outside no. It takes up to two hours until everything has heard of it.
function Write-Proof {
    param($Principal)
    if ($WhatIfPreference) { return }
    $inside = Get-DistributionGroupMember -Identity $MailGroup -ResultSize 1 -WarningAction SilentlyContinue | Select-Object -First 1
    $mailboxes = @()
    if ($inside) { $mailboxes += "$($inside.PrimarySmtpAddress)" }
    if ($Outsider) { $mailboxes += $Outsider }
    foreach ($mailbox in $mailboxes) {
        foreach ($right in Test-ServicePrincipalAuthorization -Identity $Principal.Id -Resource $mailbox) {
            [pscustomobject]@{ Mailbox = $mailbox; Role = $right.RoleName; Scope = $right.AllowedResourceScope; InScope = $right.InScope }
        }
    }
}

# A secret that goes from Microsoft Entra ID into the vault, and is shown to nobody.
function Grant-Secret {
    param($App)
    $vaultName = $Setting.ToLowerInvariant().Replace('_', '-')
    $kept = Get-AzKeyVaultSecret -VaultName $KeyVault -Name $vaultName -ErrorAction SilentlyContinue
    if ($kept -and $kept.Expires -gt [DateTime]::UtcNow.AddDays(30) -and -not $Rotate) {
        Write-Information "${name}: the secret $vaultName is good until $($kept.Expires.ToString('u')); -Rotate makes a new one"
        return
    }
    if (-not (Confirm-Step $name "make a secret for $Months months and put it into $KeyVault as $vaultName" 'Cloud Application Administrator, and Key Vault Secrets Officer on the vault')) {
        return
    }
    $ends = [DateTime]::UtcNow.AddMonths($Months)
    $made = Add-MgApplicationPassword -ApplicationId $App.Id -Confirm:$false `
        -PasswordCredential @{ displayName = "chainmail $Setting"; endDateTime = $ends.ToString('o') }
    try {
        $value = [System.Net.NetworkCredential]::new('', $made.SecretText).SecurePassword
        $null = Set-AzKeyVaultSecret -VaultName $KeyVault -Name $vaultName -SecretValue $value -Expires $ends -ContentType 'client secret' -Confirm:$false
    } catch {
        # A secret that nobody has is of use to nobody.
        Remove-MgApplicationPassword -ApplicationId $App.Id -KeyId $made.KeyId -Confirm:$false
        throw
    }
    Write-Information "${name}: the new secret ends at $($ends.ToString('u')). Older ones go on working until their end or until they are removed."
}

function Grant-Federation {
    param($App)
    $tenant = (Get-MgContext).TenantId
    if (Get-MgApplicationFederatedIdentityCredential -ApplicationId $App.Id -All | Where-Object { $_.Subject -eq $IdentityPrincipalId }) {
        Write-Information "${name}: it trusts in the app's identity already"
    } elseif (Confirm-Step $name "let it trust in the identity $IdentityPrincipalId" 'Cloud Application Administrator') {
        $null = New-MgApplicationFederatedIdentityCredential -ApplicationId $App.Id -Confirm:$false -BodyParameter @{
            name = 'chainmail'; issuer = "$($there.Login)/$tenant/v2.0"; subject = $IdentityPrincipalId; audiences = @($there.Audience)
        }
    }
}

# Takes back what is granted, and deletes the registration. The vault keeps its secret, which opens nothing any more.
function Revoke-Source {
    param($App, $Principal, $Graph)
    if ($Principal -and $Scope -eq 'group') {
        foreach ($assignment in @(Get-ManagementRoleAssignment | Where-Object { $_.Name -like "$name *" })) {
            if (Confirm-Step $name "remove the assignment $($assignment.Name)" 'Exchange Administrator') {
                Remove-ManagementRoleAssignment -Identity $assignment.Name -Confirm:$false
            }
        }
        if ((Get-ManagementScope | Where-Object { $_.Name -eq $name }) -and (Confirm-Step $name 'remove the scope' 'Exchange Administrator')) {
            Remove-ManagementScope -Identity $name -Confirm:$false
        }
        if ((Get-ServicePrincipal | Where-Object { $_.ObjectId -eq $Principal.Id }) -and
            (Confirm-Step $name 'remove it from Exchange Online' 'Exchange Administrator')) {
            Remove-ServicePrincipal -Identity $Principal.Id -Confirm:$false
        }
    }
    if ($Principal) {
        foreach ($grant in @(Get-GraphGrant $Principal $Graph)) {
            if (Confirm-Step $name "take back $($grant.Permission)" 'Privileged Role Administrator') {
                Remove-MgServicePrincipalAppRoleAssignment -ServicePrincipalId $Principal.Id -AppRoleAssignmentId $grant.Id -Confirm:$false
            }
        }
    }
    if ($App -and (Confirm-Step $name 'delete the app registration' 'Cloud Application Administrator')) {
        Remove-MgApplication -ApplicationId $App.Id -Confirm:$false
    }
}

# The console's registration: tokens of version 2.0, two roles, and sign-in by the browser and by the Azure CLI.
function Register-Console {
    $roles = @(
        @{ id = '5b1f2a86-5f0e-4a57-8a5e-2f7c7a3f9d11'; value = 'operator'; displayName = 'Operator'; description = 'May act.'; allowedMemberTypes = @('User'); isEnabled = $true }
        @{ id = '0e7c2b54-9d3a-4c1b-b6b7-6f1d5f2c8e22'; value = 'reader'; displayName = 'Reader'; description = 'May look.'; allowedMemberTypes = @('User'); isEnabled = $true }
    )
    $access = @{
        id = 'a3d0c9e8-71b4-4f6d-9a25-1c8e4b7d6f33'; value = 'user_impersonation'; type = 'Admin'; isEnabled = $true
        adminConsentDisplayName = 'Use the console'; adminConsentDescription = 'Use the console of Chainmail as whoever has signed in.'
    }
    $app = Register-Application @{ AppRoles = $roles }
    if (-not $app) { return }
    $principal = Register-Principal $app
    if (Confirm-Step $name 'set its addresses and the version of its tokens' 'Cloud Application Administrator') {
        $web = @{ implicitGrantSettings = @{ enableIdTokenIssuance = $true }; redirectUris = @($app.Web.RedirectUris) }
        if ($HostName) { $web.redirectUris = @("https://$HostName/.auth/login/aad/callback") }
        Update-MgApplication -ApplicationId $app.Id -Web $web -IdentifierUris @("api://$($app.AppId)") -Confirm:$false `
            -Api @{ requestedAccessTokenVersion = 2; oauth2PermissionScopes = @($access) }
        # A client can be allowed a scope only once the scope is there.
        Update-MgApplication -ApplicationId $app.Id -Confirm:$false -Api @{
            requestedAccessTokenVersion = 2; oauth2PermissionScopes = @($access)
            preAuthorizedApplications   = @(@{ appId = $azureCli; delegatedPermissionIds = @($access.id) })
        }
    }
    if ($principal) { Grant-ConsoleRole $principal $roles }
    Write-Information "Now deploy with consoleClientId = '$($app.AppId)'."
}

function Grant-ConsoleRole {
    param($Principal, $Roles)
    if (Confirm-Step $name 'keep out whoever has no role' 'Cloud Application Administrator') {
        Update-MgServicePrincipal -ServicePrincipalId $Principal.Id -AppRoleAssignmentRequired:$true -Confirm:$false
    }
    $held = @(Get-MgServicePrincipalAppRoleAssignedTo -ServicePrincipalId $Principal.Id -All)
    $wanted = @($Operators | ForEach-Object { @{ Who = $_; Role = $Roles[0] } }) + @($Readers | ForEach-Object { @{ Who = $_; Role = $Roles[1] } })
    foreach ($want in $wanted) {
        if ($held | Where-Object { $_.PrincipalId -eq $want.Who -and "$($_.AppRoleId)" -eq $want.Role.id }) { continue }
        if (Confirm-Step $name "make $($want.Who) $($want.Role.value)" 'Cloud Application Administrator') {
            $null = New-MgServicePrincipalAppRoleAssignedTo -ServicePrincipalId $Principal.Id -PrincipalId $want.Who `
                -ResourceId $Principal.Id -AppRoleId $want.Role.id -Confirm:$false
        }
    }
}

function Grant-Source {
    $graph = Get-PrincipalOf $microsoftGraph
    $app = $null
    if ($Credential -eq 'managedIdentity') {
        $principal = Get-MgServicePrincipal -ServicePrincipalId $IdentityPrincipalId
    } elseif ($Remove) {
        $app = Get-OneApplication
        $principal = if ($app) { Get-PrincipalOf $app.AppId }
    } else {
        $app = Register-Application
        $principal = if ($app) { Register-Principal $app }
    }
    if ($Remove) {
        Revoke-Source $app $principal $graph
        return
    }
    if (-not $principal) {
        Write-Information "${name}: the other steps need the app registration, which is not there yet"
        return
    }
    $mail = @()
    if ($Collect -contains 'email') { $mail += 'Mail.Read' }
    if ($Collect -contains 'calendar') { $mail += 'Calendars.Read' }
    $directory = @('User.Read.All')
    if ($Groups) { $directory += 'GroupMember.Read.All' }
    if ($Scope -eq 'tenant') {
        Grant-GraphPermission $principal $graph ($mail + $directory)
    } else {
        Grant-GraphPermission $principal $graph $directory
        Grant-ExchangeRole $principal $mail
        Write-TenantGrant $principal $graph
    }
    if ($Credential -eq 'secret' -and $KeyVault) { Grant-Secret $app }
    if ($Credential -eq 'federated') { Grant-Federation $app }
    Write-Information "sources.json: `"applicationId`": `"$($principal.AppId)`". Prove it by a preflight before you collect."
}

# What would only be found half way is found here.
if (-not $Console) {
    if ($Scope -eq 'group' -and -not $MailGroup -and -not $Remove) { throw '-Scope group needs -MailGroup, the mail-enabled security group of the custodians.' }
    if ($Credential -in 'federated', 'managedIdentity' -and -not $IdentityPrincipalId) { throw "-Credential $Credential needs -IdentityPrincipalId, an output of the deployment." }
    if ($KeyVault -and -not $Setting) { throw '-KeyVault needs -Setting, credential.setting of the source.' }
}

Connect-MgGraph -Environment $there.Graph -NoWelcome -Scopes 'Application.ReadWrite.All', 'AppRoleAssignment.ReadWrite.All'
if ($Console) {
    if ($Remove) {
        $app = Get-OneApplication
        if ($app -and (Confirm-Step $name 'delete the app registration' 'Cloud Application Administrator')) {
            Remove-MgApplication -ApplicationId $app.Id -Confirm:$false
        }
    } else {
        Register-Console
    }
    return
}
if ($Scope -eq 'group') { Connect-ExchangeOnline -ExchangeEnvironmentName $there.Exchange -ShowBanner:$false }
Grant-Source
