// The evidence account: containers whose blobs are written once and kept, and a log of everyone who reads them.

import { evidenceContainer } from 'types.bicep'

@description('Region of the resources.')
param location string

@description('Tags of the resources.')
param tags object

@description('Name of the storage account.')
@minLength(3)
@maxLength(24)
param accountName string

@description('Redundancy of the account.')
param sku string

@description('The containers, with their retention.')
param containers evidenceContainer[]

@description('Days after which evidence goes to the tier Cool; 0: never.')
@minValue(0)
param coolAfterDays int

@description('Days after which evidence goes to the tier Cold; 0: never.')
@minValue(0)
param coldAfterDays int

@description('Days that a deleted blob or container can be restored, where its retention has ended.')
@minValue(1)
@maxValue(365)
param softDeleteDays int

@description('Object id of the app\'s identity.')
param principalId string

@description('true: who reads, writes or deletes evidence is logged.')
param readLog bool

@description('Resource id of the Log Analytics workspace.')
param workspaceId string

@description('true: only private endpoints reach the account.')
param closed bool

@description('Resource id of the identity that reads the customer-managed key; empty: Microsoft manages the key.')
param keyIdentityId string

@description('Address of the vault that holds the customer-managed key; empty without one.')
param keyVaultUri string

@description('Name of the customer-managed key; empty without one.')
param keyName string

var ownKey = !empty(keyIdentityId)

var toCool = coolAfterDays > 0 ? {
  tierToCool: {
    daysAfterModificationGreaterThan: coolAfterDays
  }
} : {}

var toCold = coldAfterDays > 0 ? {
  tierToCold: {
    daysAfterModificationGreaterThan: coldAfterDays
  }
} : {}

resource account 'Microsoft.Storage/storageAccounts@2023-05-01' = {
  name: accountName
  location: location
  tags: tags
  kind: 'StorageV2'
  sku: {
    name: sku
  }
  identity: ownKey ? {
    type: 'UserAssigned'
    userAssignedIdentities: {
      '${keyIdentityId}': {}
    }
  } : null
  properties: {
    accessTier: 'Hot'
    allowBlobPublicAccess: false
    allowCrossTenantReplication: false
    allowSharedKeyAccess: false
    defaultToOAuthAuthentication: true
    minimumTlsVersion: 'TLS1_2'
    publicNetworkAccess: closed ? 'Disabled' : 'Enabled'
    supportsHttpsTrafficOnly: true
    networkAcls: {
      bypass: 'AzureServices'
      defaultAction: closed ? 'Deny' : 'Allow'
    }
    encryption: {
      keySource: ownKey ? 'Microsoft.Keyvault' : 'Microsoft.Storage'
      identity: ownKey ? {
        userAssignedIdentity: keyIdentityId
      } : null
      keyvaultproperties: ownKey ? {
        keyvaulturi: keyVaultUri
        keyname: keyName
      } : null
      services: {
        blob: {
          enabled: true
          keyType: 'Account'
        }
      }
    }
  }
}

// Neither the account nor the resource group goes by one wrong click.
resource keep 'Microsoft.Authorization/locks@2020-05-01' = {
  name: 'evidence'
  scope: account
  properties: {
    level: 'CanNotDelete'
    notes: 'Evidence of Chainmail. infra/README.md, "Leaving", says what must be done before this goes.'
  }
}

resource blobs 'Microsoft.Storage/storageAccounts/blobServices@2023-05-01' = {
  parent: account
  name: 'default'
  properties: {
    deleteRetentionPolicy: {
      enabled: true
      days: softDeleteDays
    }
    containerDeleteRetentionPolicy: {
      enabled: true
      days: softDeleteDays
    }
  }
}

// One at a time: the storage refuses two changes of a service's containers at once.
@batchSize(1)
module each 'evidenceContainer.bicep' = [for container in containers: {
  name: 'evidence-${container.name}'
  params: {
    accountName: account.name
    container: container
    principalId: principalId
  }
  dependsOn: [
    blobs
  ]
}]

resource tiers 'Microsoft.Storage/storageAccounts/managementPolicies@2023-05-01' = if (coolAfterDays > 0 || coldAfterDays > 0) {
  parent: account
  name: 'default'
  properties: {
    policy: {
      rules: [
        {
          name: 'tier-packages'
          enabled: true
          type: 'Lifecycle'
          definition: {
            filters: {
              blobTypes: [
                'blockBlob'
              ]
            }
            actions: {
              baseBlob: union(toCool, toCold)
            }
          }
        }
      ]
    }
  }
  dependsOn: [
    blobs
  ]
}

resource access 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = if (readLog) {
  name: 'who-opened-what'
  scope: blobs
  properties: {
    workspaceId: workspaceId
    logs: [
      {
        category: 'StorageRead'
        enabled: true
      }
      {
        category: 'StorageWrite'
        enabled: true
      }
      {
        category: 'StorageDelete'
        enabled: true
      }
    ]
  }
}

@description('Resource id of the account.')
output id string = account.id

@description('Name of the account.')
output name string = account.name

@description('Address of the account\'s blob service.')
output blobEndpoint string = account.properties.primaryEndpoints.blob

@description('Days and state of each container\'s policy, as they are.')
output retention array = [for (container, i) in containers: {
  container: container.name
  days: each[i].outputs.days
  state: each[i].outputs.state
}]
