// scanguard in one deployment of one subscription: az deployment sub create --template-file infra/main.bicep …
// Guides: docs/azure/deploy.md (this variant by variant), networking.md, standby.md, upgrade.md, uninstall.md.
targetScope = 'subscription'

@description('Region of everything but the subscription\'s events, which have none.')
param location string = deployment().location

@description('Part of every name.')
@minLength(3)
@maxLength(10)
param name string = 'scanguard'

@description('Resource group; made when it is not there.')
param resourceGroupName string = 'rg-${name}'

@description('Laid on every resource.')
param tags object = {}

@description('flex scales to nothing and may join a network; consumption is for what is there already; premium keeps one instance warm.')
@allowed([
  'flex'
  'consumption'
  'premium'
])
param hostingPlan string = 'flex'

@description('The version the package was built for. Linux Consumption has none after 3.12.')
@allowed([
  '3.11'
  '3.12'
  '3.13'
])
param pythonVersion string = hostingPlan == 'consumption' ? '3.12' : '3.13'

@description('Memory of a Flex instance, in MB.')
@allowed([
  512
  2048
  4096
])
param instanceMemoryMB int = 2048

@description('How many instances may run at once. Flex takes no less than 40.')
@minValue(1)
@maxValue(1000)
param maximumInstances int = 40

@description('Spread the instances over the zones of the region; where the region and the plan can.')
param zoneRedundant bool = false

@description('Replication of the storage account: Standard_GRS or Standard_RAGRS keep a copy in the paired region.')
@allowed([
  'Standard_LRS'
  'Standard_ZRS'
  'Standard_GRS'
  'Standard_RAGRS'
  'Standard_GZRS'
  'Standard_RAGZRS'
])
param storageSku string = 'Standard_GRS'

@description('How long results and dead letters are kept, in days.')
@minValue(1)
param retentionDays int = 90

@description('How long deleted blobs can be had back, in days.')
@minValue(7)
param softDeleteDays int = 14

@description('How long logs are kept, in days.')
@minValue(30)
@maxValue(730)
param logRetentionDays int = 90

@description('Text of the configuration, such as loadTextContent(\'scanguard.yaml\') in the parameter file. Empty: the package has it.')
param configuration string = ''

@description('Address of a blob with the configuration, which the identity reads. Empty: none.')
param configurationBlobUrl string = ''

@description('App setting name to name of a secret in the vault, for what reads its secrets from the environment.')
param secretSettings object = {}

@description('Other app settings. No secrets: use secretSettings.')
param extraSettings object = {}

@description('Take telemetry only from identities.')
param entraIngestion bool = true

@description('Diagnostic setting of the function app; Flex had none when this was written. The app\'s own telemetry does not depend on it.')
param platformLogs bool = hostingPlan != 'flex'

@description('Application (client) id of the app registration people sign in to for reports. Empty: no sign-in.')
param signInClientId string = ''

@description('Connect Event Grid. The function has to be there: publish the package first, then deploy again with true.')
param connectEvents bool = false

@description('A subscription may have only one system topic. False: use the one named systemTopicName.')
param createSystemTopic bool = true

@description('Name of the subscription\'s system topic.')
param systemTopicName string = 'evgt-${name}'

@description('Resource group of the system topic.')
param systemTopicResourceGroup string = resourceGroupName

@description('Watch only what begins so, such as /subscriptions/ID/resourceGroups/rg-shop/. Empty: the whole subscription.')
param subjectBeginsWith string = ''

@description('Registries to pull from: {subscriptionId, resourceGroup, name, location, events}. With events, pushes are told too.')
param registries array = []

@description('Make the identity that writes tags, and give it that right.')
param allowTagging bool = false

@description('Image of the worker for the heavy lane. Empty: the function app works on that lane too.')
param workerImage string = ''

@description('Registry server that the worker\'s image is pulled from with the identity. Empty: it is public.')
param workerRegistryServer string = ''

@description('Most replicas of the worker.')
@minValue(1)
@maxValue(100)
param workerReplicas int = 4

@description('Cores of a worker.')
param workerCores string = '2.0'

@description('Memory of a worker.')
param workerMemory string = '4Gi'

@description('Network, private endpoints, one outgoing address, closed firewalls. Needs flex or premium.')
param secure bool = false

@description('Address space of the network, and its three ranges: functions, workers, private endpoints.')
param addressSpace string = '10.90.0.0/24'
param functionsRange string = '10.90.0.0/26'
param workersRange string = '10.90.0.64/26'
param endpointsRange string = '10.90.0.128/26'

@description('Public addresses or ranges of those who deploy and look, let through the firewalls.')
param allowedIpRanges array = []

@description('Ids of action groups that alerts tell.')
param actionGroupIds array = []

@description('A second region that waits: every trigger is off. See docs/azure/standby.md.')
param standby bool = false

var unique = take(uniqueString(subscription().id, resourceGroupName), 8)
var allTags = union({
  application: 'scanguard'
}, tags)
var accountName = 'st${replace(name, '-', '')}${unique}'
var vaultNameWanted = 'kv-${name}-${unique}'
var appNameWanted = 'func-${name}-${unique}'
var privateServices = [
  'blob'
  'queue'
  'table'
]

resource group 'Microsoft.Resources/resourceGroups@2024-03-01' = {
  name: resourceGroupName
  location: location
  tags: allTags
}

module identity 'modules/identity.bicep' = {
  name: 'scanguard-identity'
  scope: group
  params: {
    location: location
    name: name
    tags: allTags
    acting: allowTagging
  }
}

module reading 'modules/reading-role.bicep' = {
  name: 'scanguard-reading'
  params: {
    principalId: identity.outputs.readerPrincipalId
  }
}

module tagging 'modules/tagging-role.bicep' = if (allowTagging) {
  name: 'scanguard-tagging'
  params: {
    principalId: identity.outputs.actorPrincipalId
  }
}

module pulling 'modules/registry-pull.bicep' = [for registry in registries: {
  name: 'scanguard-pull-${registry.name}'
  scope: resourceGroup(registry.subscriptionId, registry.resourceGroup)
  params: {
    registryName: registry.name
    principalId: identity.outputs.readerPrincipalId
  }
}]

module monitoring 'modules/monitoring.bicep' = {
  name: 'scanguard-monitoring'
  scope: group
  params: {
    location: location
    name: name
    tags: allTags
    readerPrincipalId: identity.outputs.readerPrincipalId
    entraIngestion: entraIngestion
    retentionDays: logRetentionDays
  }
}

module alerts 'modules/alerts.bicep' = {
  name: 'scanguard-alerts'
  scope: group
  params: {
    location: location
    name: name
    tags: allTags
    workspaceId: monitoring.outputs.workspaceId
    actionGroupIds: actionGroupIds
  }
}

module storage 'modules/storage.bicep' = {
  name: 'scanguard-storage'
  scope: group
  params: {
    location: location
    name: accountName
    tags: allTags
    sku: storageSku
    closed: secure
    allowedIpRanges: allowedIpRanges
    retentionDays: retentionDays
    softDeleteDays: softDeleteDays
    readerPrincipalId: identity.outputs.readerPrincipalId
    workspaceId: monitoring.outputs.workspaceId
  }
}

module vault 'modules/vault.bicep' = {
  name: 'scanguard-vault'
  scope: group
  params: {
    location: location
    name: vaultNameWanted
    tags: allTags
    readerPrincipalId: identity.outputs.readerPrincipalId
    workspaceId: monitoring.outputs.workspaceId
    closed: secure
    allowedIpRanges: allowedIpRanges
  }
}

module network 'modules/network.bicep' = if (secure) {
  name: 'scanguard-network'
  scope: group
  params: {
    location: location
    name: name
    tags: allTags
    addressSpace: addressSpace
    functionsRange: functionsRange
    workersRange: workersRange
    endpointsRange: endpointsRange
    functionsDelegation: hostingPlan == 'flex' ? 'Microsoft.App/environments' : 'Microsoft.Web/serverFarms'
  }
}

module storageEndpoints 'modules/private-endpoint.bicep' = [for service in privateServices: if (secure) {
  name: 'scanguard-endpoint-${service}'
  scope: group
  params: {
    location: location
    name: name
    tags: allTags
    networkId: network!.outputs.networkId
    subnetId: network!.outputs.endpointsSubnetId
    targetId: storage.outputs.accountId
    groupId: service
    zoneName: 'privatelink.${service}.${environment().suffixes.storage}'
  }
}]

module vaultEndpoint 'modules/private-endpoint.bicep' = if (secure) {
  name: 'scanguard-endpoint-vault'
  scope: group
  params: {
    location: location
    name: name
    tags: allTags
    networkId: network!.outputs.networkId
    subnetId: network!.outputs.endpointsSubnetId
    targetId: vault.outputs.vaultId
    groupId: 'vault'
    // The zone is vaultcore where the suffix is vault.
    zoneName: 'privatelink${replace(environment().suffixes.keyvaultDns, '.vault.', '.vaultcore.')}'
  }
}

module app 'modules/function.bicep' = {
  name: 'scanguard-function'
  scope: group
  dependsOn: [
    storageEndpoints
    vaultEndpoint
  ]
  params: {
    location: location
    name: appNameWanted
    tags: allTags
    hostingPlan: hostingPlan
    pythonVersion: pythonVersion
    instanceMemoryMB: instanceMemoryMB
    maximumInstances: maximumInstances
    zoneRedundant: zoneRedundant
    readerId: identity.outputs.readerId
    readerClientId: identity.outputs.readerClientId
    actorId: identity.outputs.actorId
    storageAccountName: storage.outputs.accountName
    packagesUrl: storage.outputs.packagesUrl
    vaultName: vault.outputs.vaultName
    insightsName: monitoring.outputs.insightsName
    entraIngestion: entraIngestion
    workspaceId: monitoring.outputs.workspaceId
    configuration: configuration
    configurationBlobUrl: configurationBlobUrl
    secretSettings: secretSettings
    extraSettings: extraSettings
    heavyElsewhere: !empty(workerImage)
    platformLogs: platformLogs
    standby: standby
    subnetId: secure ? network!.outputs.functionsSubnetId : ''
    closed: secure
    allowedIpRanges: allowedIpRanges
    signInClientId: signInClientId
  }
}

module worker 'modules/worker.bicep' = if (!empty(workerImage) && !standby) {
  name: 'scanguard-worker'
  scope: group
  dependsOn: [
    storageEndpoints
    vaultEndpoint
  ]
  params: {
    location: location
    name: name
    tags: allTags
    image: workerImage
    registryServer: workerRegistryServer
    readerId: identity.outputs.readerId
    readerClientId: identity.outputs.readerClientId
    storageAccountName: storage.outputs.accountName
    insightsName: monitoring.outputs.insightsName
    workspaceId: monitoring.outputs.workspaceId
    subnetId: secure ? network!.outputs.workersSubnetId : ''
    maximumReplicas: workerReplicas
    cores: workerCores
    memory: workerMemory
  }
}

module topic 'modules/topic.bicep' = if (connectEvents) {
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
    workspaceId: monitoring.outputs.workspaceId
  }
}

module deadLetters 'modules/dead-letter-writer.bicep' = if (connectEvents) {
  name: 'scanguard-dead-letters'
  scope: group
  params: {
    storageAccountName: storage.outputs.accountName
    principalId: topic!.outputs.principalId
  }
}

module events 'modules/event-subscription.bicep' = if (connectEvents) {
  name: 'scanguard-events'
  scope: resourceGroup(systemTopicResourceGroup)
  dependsOn: [
    deadLetters
  ]
  params: {
    topicName: topic!.outputs.topicName
    name: name
    functionAppId: app.outputs.appId
    storageAccountId: storage.outputs.accountId
    subjectBeginsWith: subjectBeginsWith
  }
}

module pushes 'modules/registry.bicep' = [for registry in registries: if (connectEvents && registry.events) {
  name: 'scanguard-pushes-${registry.name}'
  scope: resourceGroup(registry.subscriptionId, registry.resourceGroup)
  dependsOn: [
    events
  ]
  params: {
    registryName: registry.name
    location: registry.location
    name: name
    tags: allTags
    functionAppId: app.outputs.appId
    storageAccountId: storage.outputs.accountId
    workspaceId: monitoring.outputs.workspaceId
  }
}]

output resourceGroupName string = group.name
output functionAppName string = app.outputs.appName
output functionAppId string = app.outputs.appId
output storageAccountName string = storage.outputs.accountName
output storageAccountId string = storage.outputs.accountId
output packagesUrl string = storage.outputs.packagesUrl
output vaultName string = vault.outputs.vaultName
output workspaceId string = monitoring.outputs.workspaceId
output readerPrincipalId string = identity.outputs.readerPrincipalId
output readerClientId string = identity.outputs.readerClientId
output actorClientId string = identity.outputs.actorClientId
output actorPrincipalId string = identity.outputs.actorPrincipalId
output outgoingAddress string = secure ? network!.outputs.outgoingAddress : ''
