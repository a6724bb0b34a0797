// Chainmail on Azure: everything in one resource group, by one deployment, before one zip deployment. infra/README.md has the
// commands.
targetScope = 'resourceGroup'

import { evidenceContainer } from 'modules/types.bicep'

@description('First part of all names: lower-case letters and digits, beginning with a letter.')
@minLength(2)
@maxLength(9)
param name string = 'chainmail'

@description('Region of all resources. Flex Consumption with the runtime custom must be there.')
param location string = resourceGroup().location

@description('Tags of all resources.')
param tags object = {}

@description('Containers of the evidence account with their retention.')
@minLength(1)
param evidenceContainers evidenceContainer[] = [
  {
    name: 'evidence'
    days: 7
    lock: false
  }
]

@description('Redundancy of the evidence account.')
@allowed([
  'Standard_LRS'
  'Standard_ZRS'
  'Standard_GRS'
  'Standard_GZRS'
  'Standard_RAGRS'
  'Standard_RAGZRS'
])
param evidenceRedundancy string = 'Standard_ZRS'

@description('Days after which evidence goes to the tier Cool; 0: never.')
@minValue(0)
@maxValue(3650)
param coolAfterDays int = 30

@description('Days after which evidence goes to the tier Cold; 0: never. More than coolAfterDays, where both are used.')
@minValue(0)
@maxValue(3650)
param coldAfterDays int = 0

@description('Redundancy of the state account.')
@allowed([
  'Standard_LRS'
  'Standard_ZRS'
  'Standard_GRS'
  'Standard_GZRS'
])
param stateRedundancy string = 'Standard_ZRS'

@description('Days after which the working records of finished packages are deleted from the container state.')
@minValue(60)
@maxValue(3650)
param recordDays int = 180

@description('Days that a deleted blob or container can be restored, in both accounts.')
@minValue(1)
@maxValue(365)
param softDeleteDays int = 30

@description('Log who reads, writes or deletes evidence.')
param readLog bool = true

@description('Days that logs are kept, the second witness of the chain\'s head among them.')
@minValue(30)
@maxValue(730)
param logRetentionDays int = 365

@description('Daily limit of log ingestion in GB; -1: none. Over the limit no alert fires.')
@minValue(-1)
@maxValue(1000)
param logDailyCapGB int = -1

@description('App settings that hold a source\'s secret or certificate, as sources.json names them: [A-Z0-9_]. The value lies in the vault under the same name in lower case, with - for _.')
param credentialSettings string[] = []

@description('Object id of the person or group that puts secrets into the vault; empty: nobody yet.')
param secretsOfficerId string = ''

@description('Addresses that get the alerts. Either these or actionGroupId are needed.')
param alertEmails string[] = []

@description('Resource id of an action group of one\'s own that gets the alerts; empty: one is made for alertEmails.')
param actionGroupId string = ''

@description('Hours without a sealed batch of a source that are an alert, as its healthCheckFailureWindowInMinutes.')
@allowed([
  24
  48
])
param healthHours int = 24

@description('Minutes without a sign of life of plan that are an alert: several times planSchedule.')
@allowed([
  15
  30
  60
  120
])
param silenceMinutes int = 30

@description('An alert that fires while plan runs, to prove that alerts arrive. Set it back to false.')
param testAlert bool = false

@description('NCRONTAB of plan.')
param planSchedule string = '0 */5 * * * *'

@description('NCRONTAB of people.')
param peopleSchedule string = '0 0 * * * *'

@description('Time after which a run begins no further item, from 1s to 20m.')
param runBudget string = '8m'

@description('Least level of log lines. The alerts need info.')
@allowed([
  'debug'
  'info'
])
param logLevel string = 'info'

@description('Memory of an instance in MB.')
@allowed([
  512
  2048
  4096
])
param instanceMemoryMB int = 2048

@description('Instances at most. Each works on one chunk at a time.')
@minValue(1)
@maxValue(1000)
param maximumInstanceCount int = 40

@description('Option: a virtual network, private endpoints, and no public access to storage and vault.')
param privateNetwork bool = false

@description('Address space of the virtual network, /24 or larger.')
param addressPrefix string = '10.71.0.0/24'

@description('Option: a key of one\'s own for both storage accounts.')
param customerManagedKey bool = false

@description('Option: client id of the console\'s app registration, which grant.ps1 -Console makes; empty: the console answers nobody.')
param consoleClientId string = ''

var suffix = take(uniqueString(resourceGroup().id), 8)
var prefix = '${name}-${suffix}'
var clouds = {
  AzureCloud: 'public'
  AzureUSGovernment: 'usgov'
  AzureChinaCloud: 'china'
}
var cloud = clouds[environment().name]
var vaultName = '${name}-kv-${suffix}'

resource identity 'Microsoft.ManagedIdentity/userAssignedIdentities@2023-01-31' = {
  name: '${prefix}-app'
  location: location
  tags: tags
}

module monitoring 'modules/monitoring.bicep' = {
  name: 'monitoring'
  params: {
    location: location
    tags: tags
    workspaceName: '${prefix}-log'
    componentName: '${prefix}-insights'
    retentionDays: logRetentionDays
    dailyCapGB: logDailyCapGB
    principalId: identity.properties.principalId
  }
}

module vault 'modules/vault.bicep' = {
  name: 'vault'
  params: {
    location: location
    tags: tags
    vaultName: vaultName
    principalId: identity.properties.principalId
    officerId: secretsOfficerId
    closed: privateNetwork
    workspaceId: monitoring.outputs.workspaceId
  }
}

module customerKey 'modules/customerKey.bicep' = if (customerManagedKey) {
  name: 'customer-key'
  params: {
    location: location
    tags: tags
    vaultName: vault.outputs.name
    identityName: '${prefix}-key'
  }
}

module state 'modules/state.bicep' = {
  name: 'state'
  params: {
    location: location
    tags: tags
    accountName: '${name}state${suffix}'
    sku: stateRedundancy
    recordDays: recordDays
    softDeleteDays: softDeleteDays
    principalId: identity.properties.principalId
    closed: privateNetwork
    keyIdentityId: customerManagedKey ? customerKey!.outputs.identityId : ''
    keyVaultUri: customerManagedKey ? vault.outputs.uri : ''
    keyName: customerManagedKey ? customerKey!.outputs.keyName : ''
    workspaceId: monitoring.outputs.workspaceId
  }
}

module evidence 'modules/evidence.bicep' = {
  name: 'evidence'
  params: {
    location: location
    tags: tags
    accountName: '${name}evid${suffix}'
    sku: evidenceRedundancy
    containers: evidenceContainers
    coolAfterDays: coolAfterDays
    coldAfterDays: coldAfterDays
    softDeleteDays: softDeleteDays
    principalId: identity.properties.principalId
    readLog: readLog
    workspaceId: monitoring.outputs.workspaceId
    closed: privateNetwork
    keyIdentityId: customerManagedKey ? customerKey!.outputs.identityId : ''
    keyVaultUri: customerManagedKey ? vault.outputs.uri : ''
    keyName: customerManagedKey ? customerKey!.outputs.keyName : ''
  }
}

module network 'modules/network.bicep' = if (privateNetwork) {
  name: 'network'
  params: {
    location: location
    tags: tags
    prefix: prefix
    addressPrefix: addressPrefix
    targets: [
      {
        name: 'state'
        id: state.outputs.id
        services: [
          'blob'
          'queue'
          'table'
        ]
      }
      {
        name: 'evidence'
        id: evidence.outputs.id
        services: [
          'blob'
        ]
      }
      {
        name: 'vault'
        id: vault.outputs.id
        services: [
          'vault'
        ]
      }
    ]
  }
}

// What the Functions host and the handler read; infra_test.go holds the names against the code.
var settings = {
  AzureWebJobsStorage__blobServiceUri: state.outputs.endpoints.blob
  AzureWebJobsStorage__queueServiceUri: state.outputs.endpoints.queue
  AzureWebJobsStorage__tableServiceUri: state.outputs.endpoints.table
  AzureWebJobsStorage__credential: 'managedidentity'
  AzureWebJobsStorage__clientId: identity.properties.clientId
  APPLICATIONINSIGHTS_CONNECTION_STRING: monitoring.outputs.connectionString
  APPLICATIONINSIGHTS_AUTHENTICATION_STRING: 'ClientId=${identity.properties.clientId};Authorization=AAD'
  CHAINMAIL_STATE__blobServiceUri: state.outputs.endpoints.blob
  CHAINMAIL_STATE__tableServiceUri: state.outputs.endpoints.table
  CHAINMAIL_STATE__clientId: identity.properties.clientId
  CHAINMAIL_EVIDENCE__blobServiceUri: evidence.outputs.blobEndpoint
  CHAINMAIL_EVIDENCE__clientId: identity.properties.clientId
  CHAINMAIL_CONSOLE: empty(consoleClientId) ? '' : 'tenant=${subscription().tenantId};audience=${consoleClientId};cloud=${cloud}'
  PLAN_SCHEDULE: planSchedule
  PEOPLE_SCHEDULE: peopleSchedule
  RUN_BUDGET: runBudget
  LOG_LEVEL: logLevel
}

// References without a version follow a new value within a day; README, "Rotation", says how at once.
var credentials = reduce(credentialSettings, {}, (all, setting) => union(all, {
  '${setting}': '@Microsoft.KeyVault(VaultName=${vaultName};SecretName=${toLower(replace(setting, '_', '-'))})'
}))

module app 'modules/app.bicep' = {
  name: 'app'
  params: {
    location: location
    tags: tags
    appName: '${prefix}-func'
    planName: '${prefix}-plan'
    identityId: identity.id
    instanceMemoryMB: instanceMemoryMB
    maximumInstanceCount: maximumInstanceCount
    packageContainer: state.outputs.packageContainer
    settings: union(settings, credentials)
    subnetId: privateNetwork ? network!.outputs.appSubnetId : ''
    consoleClientId: consoleClientId
  }
  // A reference that is read before the role is there is not read again for hours.
  dependsOn: [
    vault
  ]
}

module workbook 'modules/workbook.bicep' = {
  name: 'workbook'
  params: {
    location: location
    tags: tags
    displayName: 'Chainmail ${name}'
    componentId: monitoring.outputs.componentId
    workspaceId: monitoring.outputs.workspaceId
    stateAccountId: state.outputs.id
    evidenceAccountId: evidence.outputs.id
  }
}

module alerts 'modules/alerts.bicep' = if (!empty(alertEmails) || !empty(actionGroupId)) {
  name: 'alerts'
  params: {
    location: location
    tags: tags
    prefix: prefix
    componentId: monitoring.outputs.componentId
    vaultId: vault.outputs.id
    emails: alertEmails
    actionGroupId: actionGroupId
    healthHours: healthHours
    silenceMinutes: silenceMinutes
    testAlert: testAlert
  }
}

@description('Name of the function app: the zip deployment is for it.')
output appName string = app.outputs.name

@description('Host name of the function app; the console is below it.')
output hostName string = app.outputs.hostName

@description('Object id of the app\'s identity: for sources with the credential managedIdentity or federated.')
output identityPrincipalId string = identity.properties.principalId

@description('Client id of the app\'s identity: clientId of those sources.')
output identityClientId string = identity.properties.clientId

@description('Name of the vault: grant.ps1 -KeyVault.')
output vaultName string = vault.outputs.name

@description('Name of the state account: sources.json goes into its container config.')
output stateAccount string = state.outputs.name

@description('Name of the evidence account.')
output evidenceAccount string = evidence.outputs.name

@description('Address of the evidence: with /CONTAINER what infra/evidence verify takes.')
output evidenceEndpoint string = evidence.outputs.blobEndpoint

@description('Retention of each container as it is. What is to be locked must say Locked.')
output retention array = evidence.outputs.retention

@description('Workspace id that az monitor log-analytics query takes.')
output workspaceCustomerId string = monitoring.outputs.workspaceCustomerId

@description('Resource id of the workbook.')
output workbookId string = workbook.outputs.id

@description('Resource id of the action group that gets the alerts; empty: nobody gets any.')
output actionGroupId string = empty(alertEmails) && empty(actionGroupId) ? '' : alerts!.outputs.actionGroupId
