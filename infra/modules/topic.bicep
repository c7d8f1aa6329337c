// The system topic of a subscription, which may have only one: made here, or one that is there already.

param name string
param tags object

@description('The subscription (/subscriptions/ID) or registry whose events these are.')
param sourceId string

@allowed([
  'Microsoft.Resources.Subscriptions'
  'Microsoft.ContainerRegistry.Registries'
])
param topicType string

@description('global for a subscription, the registry\'s region for a registry.')
param location string

@description('Make it. Otherwise one of this name is in this resource group and has a system-assigned identity.')
param create bool

@description('Workspace for failed deliveries.')
param workspaceId string

resource topic 'Microsoft.EventGrid/systemTopics@2022-06-15' = if (create) {
  name: name
  location: location
  tags: tags
  identity: {
    type: 'SystemAssigned'
  }
  properties: {
    source: sourceId
    topicType: topicType
  }
}

resource present 'Microsoft.EventGrid/systemTopics@2022-06-15' existing = if (!create) {
  name: name
}

resource diagnostics 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = if (create) {
  name: 'scanguard'
  scope: topic
  properties: {
    workspaceId: workspaceId
    logs: [
      {
        category: 'DeliveryFailures'
        enabled: true
      }
    ]
    metrics: [
      {
        category: 'AllMetrics'
        enabled: true
      }
    ]
  }
}

output topicName string = name
output principalId string = create ? topic!.identity.principalId : present!.identity.principalId
