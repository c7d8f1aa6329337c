// The secure variant's network: one subnet each for the functions, the workers and the private endpoints; one way out.

param location string
param name string
param tags object

@description('Address space, and three ranges of it, each at least a /27 (functions: a /26 for more than 20 instances).')
param addressSpace string
param functionsRange string
param workersRange string
param endpointsRange string

@description('Subnets of functions belong to Microsoft.App/environments on Flex, to Microsoft.Web/serverFarms on Premium.')
param functionsDelegation string

resource address 'Microsoft.Network/publicIPAddresses@2024-01-01' = {
  name: 'pip-${name}'
  location: location
  tags: tags
  sku: {
    name: 'Standard'
  }
  properties: {
    publicIPAllocationMethod: 'Static'
  }
}

resource nat 'Microsoft.Network/natGateways@2024-01-01' = {
  name: 'ng-${name}'
  location: location
  tags: tags
  sku: {
    name: 'Standard'
  }
  properties: {
    idleTimeoutInMinutes: 10
    publicIpAddresses: [
      {
        id: address.id
      }
    ]
  }
}

// Registries and scanners have names, not addresses, so HTTPS to the internet is open; nothing else is.
resource outgoing 'Microsoft.Network/networkSecurityGroups@2024-01-01' = {
  name: 'nsg-${name}-out'
  location: location
  tags: tags
  properties: {
    securityRules: [
      {
        name: 'to-private-endpoints'
        properties: {
          priority: 100
          direction: 'Outbound'
          access: 'Allow'
          protocol: 'Tcp'
          sourceAddressPrefix: 'VirtualNetwork'
          sourcePortRange: '*'
          destinationAddressPrefix: endpointsRange
          destinationPortRange: '443'
        }
      }
      {
        name: 'https'
        properties: {
          priority: 110
          direction: 'Outbound'
          access: 'Allow'
          protocol: 'Tcp'
          sourceAddressPrefix: 'VirtualNetwork'
          sourcePortRange: '*'
          destinationAddressPrefix: 'Internet'
          destinationPortRange: '443'
        }
      }
      {
        name: 'names-and-time'
        properties: {
          priority: 120
          direction: 'Outbound'
          access: 'Allow'
          protocol: 'Udp'
          sourceAddressPrefix: 'VirtualNetwork'
          sourcePortRange: '*'
          destinationAddressPrefix: '*'
          destinationPortRanges: [
            '53'
            '123'
          ]
        }
      }
      {
        name: 'inside-the-subnets'
        properties: {
          priority: 130
          direction: 'Outbound'
          access: 'Allow'
          protocol: '*'
          sourceAddressPrefixes: [
            functionsRange
            workersRange
          ]
          sourcePortRange: '*'
          destinationAddressPrefixes: [
            functionsRange
            workersRange
          ]
          destinationPortRange: '*'
        }
      }
      {
        name: 'nothing-else'
        properties: {
          priority: 4096
          direction: 'Outbound'
          access: 'Deny'
          protocol: '*'
          sourceAddressPrefix: '*'
          sourcePortRange: '*'
          destinationAddressPrefix: '*'
          destinationPortRange: '*'
        }
      }
      {
        name: 'nobody-from-outside'
        properties: {
          priority: 4096
          direction: 'Inbound'
          access: 'Deny'
          protocol: '*'
          sourceAddressPrefix: 'Internet'
          sourcePortRange: '*'
          destinationAddressPrefix: '*'
          destinationPortRange: '*'
        }
      }
    ]
  }
}

resource endpoints 'Microsoft.Network/networkSecurityGroups@2024-01-01' = {
  name: 'nsg-${name}-endpoints'
  location: location
  tags: tags
  properties: {
    securityRules: [
      {
        name: 'from-our-subnets'
        properties: {
          priority: 100
          direction: 'Inbound'
          access: 'Allow'
          protocol: 'Tcp'
          sourceAddressPrefixes: [
            functionsRange
            workersRange
          ]
          sourcePortRange: '*'
          destinationAddressPrefix: endpointsRange
          destinationPortRange: '443'
        }
      }
      {
        name: 'nobody-else'
        properties: {
          priority: 4096
          direction: 'Inbound'
          access: 'Deny'
          protocol: '*'
          sourceAddressPrefix: '*'
          sourcePortRange: '*'
          destinationAddressPrefix: '*'
          destinationPortRange: '*'
        }
      }
    ]
  }
}

resource network 'Microsoft.Network/virtualNetworks@2024-01-01' = {
  name: 'vnet-${name}'
  location: location
  tags: tags
  properties: {
    addressSpace: {
      addressPrefixes: [
        addressSpace
      ]
    }
    subnets: [
      {
        name: 'functions'
        properties: {
          addressPrefix: functionsRange
          defaultOutboundAccess: false
          delegations: [
            {
              name: 'functions'
              properties: {
                serviceName: functionsDelegation
              }
            }
          ]
          natGateway: {
            id: nat.id
          }
          networkSecurityGroup: {
            id: outgoing.id
          }
        }
      }
      {
        name: 'workers'
        properties: {
          addressPrefix: workersRange
          defaultOutboundAccess: false
          delegations: [
            {
              name: 'workers'
              properties: {
                serviceName: 'Microsoft.App/environments'
              }
            }
          ]
          natGateway: {
            id: nat.id
          }
          networkSecurityGroup: {
            id: outgoing.id
          }
        }
      }
      {
        name: 'endpoints'
        properties: {
          addressPrefix: endpointsRange
          defaultOutboundAccess: false
          privateEndpointNetworkPolicies: 'Enabled'
          networkSecurityGroup: {
            id: endpoints.id
          }
        }
      }
    ]
  }
}

output networkId string = network.id
output functionsSubnetId string = '${network.id}/subnets/functions'
output workersSubnetId string = '${network.id}/subnets/workers'
output endpointsSubnetId string = '${network.id}/subnets/endpoints'

@description('The one address scanners and registries see.')
output outgoingAddress string = address.properties.ipAddress
