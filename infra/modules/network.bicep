// Option: a virtual network that the app's traffic leaves by, and private endpoints for both storage accounts and the vault.

@description('Region of the resources.')
param location string

@description('Tags of the resources.')
param tags object

@description('First part of the resources\' names.')
param prefix string

@description('Address space, /24 or larger: half for the app, a quarter for the endpoints.')
param addressPrefix string

@description('What is to have private endpoints: a name, the resource and its services.')
param targets {
  name: string
  id: string
  services: string[]
}[]

var storageSuffix = environment().suffixes.storage

// .vault.azure.net has its private zone at privatelink.vaultcore.azure.net, and so in the other clouds.
var zoneNames = {
  blob: 'privatelink.blob.${storageSuffix}'
  queue: 'privatelink.queue.${storageSuffix}'
  table: 'privatelink.table.${storageSuffix}'
  vault: 'privatelink${replace(environment().suffixes.keyvaultDns, '.vault.', '.vaultcore.')}'
}

var pairs = flatten(map(targets, target => map(target.services, service => {
  name: '${target.name}-${service}'
  id: target.id
  service: service
})))

resource net 'Microsoft.Network/virtualNetworks@2024-01-01' = {
  name: '${prefix}-net'
  location: location
  tags: tags
  properties: {
    addressSpace: {
      addressPrefixes: [
        addressPrefix
      ]
    }
    subnets: [
      {
        name: 'app'
        properties: {
          addressPrefix: cidrSubnet(addressPrefix, 25, 0)
          delegations: [
            {
              name: 'flex'
              properties: {
                serviceName: 'Microsoft.App/environments'
              }
            }
          ]
        }
      }
      {
        name: 'endpoints'
        properties: {
          addressPrefix: cidrSubnet(addressPrefix, 26, 2)
          privateEndpointNetworkPolicies: 'Disabled'
        }
      }
    ]
  }

  resource app 'subnets' existing = {
    name: 'app'
  }

  resource endpoints 'subnets' existing = {
    name: 'endpoints'
  }
}

resource zones 'Microsoft.Network/privateDnsZones@2020-06-01' = [for zone in items(zoneNames): {
  name: zone.value
  location: 'global'
  tags: tags
}]

resource links 'Microsoft.Network/privateDnsZones/virtualNetworkLinks@2020-06-01' = [for (zone, i) in items(zoneNames): {
  parent: zones[i]
  name: '${prefix}-net'
  location: 'global'
  tags: tags
  properties: {
    registrationEnabled: false
    virtualNetwork: {
      id: net.id
    }
  }
}]

resource privateEndpoints 'Microsoft.Network/privateEndpoints@2024-01-01' = [for pair in pairs: {
  name: '${prefix}-${pair.name}'
  location: location
  tags: tags
  properties: {
    subnet: {
      id: net::endpoints.id
    }
    privateLinkServiceConnections: [
      {
        name: pair.name
        properties: {
          privateLinkServiceId: pair.id
          groupIds: [
            pair.service
          ]
        }
      }
    ]
  }
}]

resource zoneGroups 'Microsoft.Network/privateEndpoints/privateDnsZoneGroups@2024-01-01' = [for (pair, i) in pairs: {
  parent: privateEndpoints[i]
  name: 'default'
  properties: {
    privateDnsZoneConfigs: [
      {
        name: pair.service
        properties: {
          privateDnsZoneId: resourceId('Microsoft.Network/privateDnsZones', zoneNames[pair.service])
        }
      }
    ]
  }
  dependsOn: [
    zones
    links
  ]
}]

@description('Resource id of the subnet that the app\'s traffic leaves by.')
output appSubnetId string = net::app.id
