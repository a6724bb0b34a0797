// One container of evidence: its retention, and the app's right to write into it.

import { evidenceContainer } from 'types.bicep'

@description('Name of the evidence account.')
param accountName string

@description('The container.')
param container evidenceContainer

@description('Object id of the app\'s identity.')
param principalId string

resource account 'Microsoft.Storage/storageAccounts@2023-05-01' existing = {
  name: accountName
}

resource blobs 'Microsoft.Storage/storageAccounts/blobServices@2023-05-01' existing = {
  parent: account
  name: 'default'
}

resource holder 'Microsoft.Storage/storageAccounts/blobServices/containers@2023-05-01' = {
  parent: blobs
  name: container.name
  properties: {
    publicAccess: 'None'
  }
}

// A template cannot lock a policy, and a locked one refuses to be written again: it is left alone then.
resource policy 'Microsoft.Storage/storageAccounts/blobServices/containers/immutabilityPolicies@2023-05-01' = if (!container.lock && container.days > 0) {
  parent: holder
  name: 'default'
  properties: {
    immutabilityPeriodSinceCreationInDays: container.days
    allowProtectedAppendWrites: false
  }
}

// Storage Blob Data Contributor, on this container alone.
resource writer 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(holder.id, principalId, 'ba92f5b4-2d11-453d-a403-e96b0029c9fe')
  scope: holder
  properties: {
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', 'ba92f5b4-2d11-453d-a403-e96b0029c9fe')
    principalId: principalId
    principalType: 'ServicePrincipal'
  }
}

resource standing 'Microsoft.Storage/storageAccounts/blobServices/containers/immutabilityPolicies@2023-05-01' existing = if (container.lock) {
  parent: holder
  name: 'default'
}

@description('Days of the policy in force.')
output days int = container.lock ? standing!.properties.immutabilityPeriodSinceCreationInDays : container.days

@description('Locked, Unlocked, or None without a policy. What is said to be locked is looked up.')
output state string = container.lock ? standing!.properties.state : container.days > 0 ? 'Unlocked' : 'None'
