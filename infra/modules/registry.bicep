// Events of one registry: its topic in its own resource group, the right to write dead letters, the subscription.

param registryName string
param location string
param name string
param tags object
param functionAppId string
param storageAccountId string
param workspaceId string

resource registry 'Microsoft.ContainerRegistry/registries@2023-07-01' existing = {
  name: registryName
}

module topic 'topic.bicep' = {
  name: 'scanguard-topic-${registryName}'
  params: {
    name: 'evgt-${name}-${registryName}'
    tags: tags
    sourceId: registry.id
    topicType: 'Microsoft.ContainerRegistry.Registries'
    location: location
    create: true
    workspaceId: workspaceId
  }
}

module deadLetters 'dead-letter-writer.bicep' = {
  name: 'scanguard-dead-letters-${registryName}'
  scope: resourceGroup(split(storageAccountId, '/')[2], split(storageAccountId, '/')[4])
  params: {
    storageAccountName: last(split(storageAccountId, '/'))
    principalId: topic.outputs.principalId
  }
}

module pushes 'registry-events.bicep' = {
  name: 'scanguard-pushes-${registryName}'
  dependsOn: [
    deadLetters
  ]
  params: {
    topicName: topic.outputs.topicName
    name: name
    functionAppId: functionAppId
    storageAccountId: storageAccountId
  }
}
