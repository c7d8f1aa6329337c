// A further subscription: its events go to the hub's function, and the hub's identity may read it.
// az deployment sub create --subscription SPOKE --template-file infra/spoke.bicep …
targetScope = 'subscription'

@description('Region of the resource group; the topic itself has none.')
param location string = deployment().location

@minLength(3)
@maxLength(10)
param name string = 'scanguard'

param resourceGroupName string = 'rg-${name}'
param tags object = {}

@description('Outputs of the hub\'s deployment.')
param hubFunctionAppId string
param hubStorageAccountId string
param hubReaderPrincipalId string
param hubWorkspaceId string

@description('The hub\'s output actorPrincipalId, to let it write tags here. Empty: it may not.')
param hubActorPrincipalId string = ''

@description('A subscription may have only one system topic. False: use the one named systemTopicName.')
param createSystemTopic bool = true

param systemTopicName string = 'evgt-${name}'
param systemTopicResourceGroup string = resourceGroupName

@description('Watch only what begins so. Empty: the whole subscription.')
param subjectBeginsWith string = ''

@description('Registries of this subscription to pull from: {resourceGroup, name}.')
param registries array = []

var allTags = union({
  application: 'scanguard'
}, tags)
var hub = split(hubStorageAccountId, '/')

resource group 'Microsoft.Resources/resourceGroups@2024-03-01' = {
  name: resourceGroupName
  location: location
  tags: allTags
}

module reading 'modules/reading-role.bicep' = {
  name: 'scanguard-reading'
  params: {
    principalId: hubReaderPrincipalId
  }
}

module tagging 'modules/tagging-role.bicep' = if (!empty(hubActorPrincipalId)) {
  name: 'scanguard-tagging'
  params: {
    principalId: hubActorPrincipalId
  }
}

module pulling 'modules/registry-pull.bicep' = [for registry in registries: {
  name: 'scanguard-pull-${registry.name}'
  scope: resourceGroup(registry.resourceGroup)
  params: {
    registryName: registry.name
    principalId: hubReaderPrincipalId
  }
}]

module topic 'modules/topic.bicep' = {
  name: 'scanguard-topic'
  scope: resourceGroup(systemTopicResourceGroup)
  dependsOn: [
    group
  ]
  params: {
    name: systemTopicName
    tags: allTags
    sourceId: subscription().id
    topicType: 'Microsoft.Resources.Subscriptions'
    location: 'global'
    create: createSystemTopic
    workspaceId: hubWorkspaceId
  }
}

module deadLetters 'modules/dead-letter-writer.bicep' = {
  name: 'scanguard-dead-letters-${uniqueString(subscription().id)}'
  scope: resourceGroup(hub[2], hub[4])
  params: {
    storageAccountName: last(hub)
    principalId: topic.outputs.principalId
  }
}

module events 'modules/event-subscription.bicep' = {
  name: 'scanguard-events'
  scope: resourceGroup(systemTopicResourceGroup)
  dependsOn: [
    deadLetters
  ]
  params: {
    topicName: topic.outputs.topicName
    name: name
    functionAppId: hubFunctionAppId
    storageAccountId: hubStorageAccountId
    subjectBeginsWith: subjectBeginsWith
  }
}

output topicName string = topic.outputs.topicName
