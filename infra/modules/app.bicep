// The function app: a plan of Flex Consumption, and the custom handler on it.

@description('Region of the resources.')
param location string

@description('Tags of the resources.')
param tags object

@description('Name of the function app.')
param appName string

@description('Name of its plan. A plan of Flex Consumption has one app.')
param planName string

@description('Resource id of the app\'s identity.')
param identityId string

@description('Memory of an instance in MB.')
param instanceMemoryMB int

@description('Instances at most.')
param maximumInstanceCount int

@description('Address of the container that zip deployments are put into.')
param packageContainer string

@description('App settings.')
param settings object

@description('Resource id of the subnet that the app\'s traffic leaves by; empty: none.')
param subnetId string

@description('Client id of the console\'s app registration; empty: no console.')
param consoleClientId string

var console = !empty(consoleClientId)

resource plan 'Microsoft.Web/serverfarms@2024-04-01' = {
  name: planName
  location: location
  tags: tags
  kind: 'functionapp'
  sku: {
    name: 'FC1'
    tier: 'FlexConsumption'
  }
  properties: {
    reserved: true
  }
}

resource app 'Microsoft.Web/sites@2024-04-01' = {
  name: appName
  location: location
  tags: tags
  kind: 'functionapp,linux'
  identity: {
    type: 'UserAssigned'
    userAssignedIdentities: {
      '${identityId}': {}
    }
  }
  properties: {
    serverFarmId: plan.id
    httpsOnly: true
    keyVaultReferenceIdentity: identityId
    virtualNetworkSubnetId: empty(subnetId) ? null : subnetId
    siteConfig: {
      minTlsVersion: '1.2'
    }
    functionAppConfig: {
      deployment: {
        storage: {
          type: 'blobContainer'
          value: packageContainer
          authentication: {
            type: 'UserAssignedIdentity'
            userAssignedIdentityResourceId: identityId
          }
        }
      }
      scaleAndConcurrency: {
        instanceMemoryMB: instanceMemoryMB
        maximumInstanceCount: maximumInstanceCount
      }
      runtime: {
        name: 'custom'
        version: '1.0'
      }
    }
  }
}

resource appSettings 'Microsoft.Web/sites/config@2024-04-01' = {
  parent: app
  name: 'appsettings'
  properties: settings
}

// Publishing by user name and password is off: zip deployments sign in by Microsoft Entra ID.
resource basic 'Microsoft.Web/sites/basicPublishingCredentialsPolicies@2024-04-01' = [for name in [
  'ftp'
  'scm'
]: {
  parent: app
  name: name
  properties: {
    allow: false
  }
}]

module signIn 'console.bicep' = if (console) {
  name: 'console'
  params: {
    appName: app.name
    clientId: consoleClientId
  }
  dependsOn: [
    appSettings
  ]
}

@description('Name of the function app.')
output name string = app.name

@description('Host name of the function app.')
output hostName string = app.properties.defaultHostName
