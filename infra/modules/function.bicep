// The function app and its plan. No key anywhere: the host, the triggers and the package use the identity.

param location string
param name string
param tags object

@allowed([
  'flex'
  'consumption'
  'premium'
])
param hostingPlan string

param pythonVersion string

@allowed([
  512
  2048
  4096
])
param instanceMemoryMB int

@minValue(1)
@maxValue(1000)
param maximumInstances int

@description('Spread the instances over the zones of the region; where the region and the plan can.')
param zoneRedundant bool

param readerId string
param readerClientId string

@description('The acting identity, which the app may use too. Empty: none.')
param actorId string

param storageAccountName string
param packagesUrl string
param vaultName string
param insightsName string
param entraIngestion bool
param workspaceId string

@description('Text of the configuration. Empty: what the package brings, or the blob.')
param configuration string

@description('Address of a blob with the configuration, read with the identity. Empty: none.')
param configurationBlobUrl string

@description('App setting name to secret name; each becomes a reference to the vault.')
param secretSettings object

@description('Other app settings, none of them secret.')
param extraSettings object

@description('A worker has the heavy lane, so the functions leave it alone.')
param heavyElsewhere bool

@description('Send the platform\'s logs and metrics of the app to the workspace; the app\'s own go to Application Insights.')
param platformLogs bool

@description('All triggers are off; health answers.')
param standby bool

@description('The subnet the app reaches out through. Empty: none.')
param subnetId string

@description('Only Event Grid and these addresses may call, where the app is closed.')
param closed bool
param allowedIpRanges array

@description('Application (client) id of the app registration that people sign in to. Empty: no sign-in is set up.')
param signInClientId string

var names = loadJsonContent('names.json')
var flex = hostingPlan == 'flex'
var skus = {
  flex: {
    name: 'FC1'
    tier: 'FlexConsumption'
  }
  consumption: {
    name: 'Y1'
    tier: 'Dynamic'
  }
  premium: {
    name: 'EP1'
    tier: 'ElasticPremium'
  }
}

resource insights 'Microsoft.Insights/components@2020-02-02' existing = {
  name: insightsName
}

resource plan 'Microsoft.Web/serverfarms@2024-04-01' = {
  name: 'plan-${name}'
  location: location
  tags: tags
  kind: flex ? 'functionapp' : hostingPlan == 'premium' ? 'elastic' : 'linux'
  sku: skus[hostingPlan]
  properties: {
    reserved: true
    zoneRedundant: zoneRedundant
    maximumElasticWorkerCount: hostingPlan == 'premium' ? min(maximumInstances, 100) : null
  }
}

// The host's account and the queue triggers' is the same: one connection name for all.
var baseSettings = [
  {
    name: 'AzureWebJobsStorage__accountName'
    value: storageAccountName
  }
  {
    name: 'AzureWebJobsStorage__credential'
    value: 'managedidentity'
  }
  {
    name: 'AzureWebJobsStorage__clientId'
    value: readerClientId
  }
  {
    name: 'AZURE_CLIENT_ID'
    value: readerClientId
  }
  {
    name: 'SCANGUARD_LANES'
    value: heavyElsewhere ? 'fresh,bulk' : 'fresh,bulk,heavy'
  }
  {
    name: 'SCANGUARD__backend__plugin'
    value: 'azure_storage'
  }
  {
    name: 'SCANGUARD__backend__account'
    value: storageAccountName
  }
  {
    name: 'APPLICATIONINSIGHTS_CONNECTION_STRING'
    value: insights.properties.ConnectionString
  }
]
var configurationSettings = empty(configuration) ? [] : [
  {
    name: 'SCANGUARD_CONFIG'
    value: configuration
  }
]
var configurationBlobSettings = empty(configurationBlobUrl) ? [] : [
  {
    name: 'SCANGUARD_CONFIG_BLOB'
    value: configurationBlobUrl
  }
]
var ingestionSettings = entraIngestion ? [
  {
    name: 'APPLICATIONINSIGHTS_AUTHENTICATION_STRING'
    value: 'ClientId=${readerClientId};Authorization=AAD'
  }
] : []
// Flex takes these from functionAppConfig, and refuses a deployment that has one of them, even null.
var classicConfig = union({
  linuxFxVersion: 'Python|${pythonVersion}'
  ftpsState: 'Disabled'
}, hostingPlan == 'premium' ? {
  healthCheckPath: '/api/health'
  vnetRouteAllEnabled: !empty(subnetId)
} : {})
var classicSettings = flex ? [] : [
  {
    name: 'FUNCTIONS_EXTENSION_VERSION'
    value: '~4'
  }
  {
    name: 'FUNCTIONS_WORKER_RUNTIME'
    value: 'python'
  }
  {
    name: 'WEBSITE_RUN_FROM_PACKAGE'
    value: '${packagesUrl}/scanguard.zip'
  }
  {
    name: 'WEBSITE_RUN_FROM_PACKAGE_BLOB_MI_RESOURCE_ID'
    value: readerId
  }
]
var referenceSettings = [for secret in items(secretSettings): {
  name: secret.key
  value: '@Microsoft.KeyVault(VaultName=${vaultName};SecretName=${secret.value})'
}]
var furtherSettings = [for setting in items(extraSettings): {
  name: setting.key
  value: setting.value
}]
var disabledSettings = [for trigger in (standby ? names.functions.triggers : []): {
  name: 'AzureWebJobs.${trigger}.Disabled'
  value: 'true'
}]

var callers = [for (range, index) in allowedIpRanges: {
  name: 'allowed-${index}'
  action: 'Allow'
  ipAddress: contains(range, '/') ? range : '${range}/32'
  priority: 200 + index
}]
var eventGridOnly = [
  {
    name: 'event-grid'
    action: 'Allow'
    tag: 'ServiceTag'
    ipAddress: 'AzureEventGrid'
    priority: 100
  }
]
var identities = union({
  '${readerId}': {}
}, empty(actorId) ? {} : {
  '${actorId}': {}
})

resource app 'Microsoft.Web/sites@2024-04-01' = {
  name: name
  location: location
  tags: tags
  kind: 'functionapp,linux'
  identity: {
    type: 'UserAssigned'
    userAssignedIdentities: identities
  }
  properties: {
    serverFarmId: plan.id
    httpsOnly: true
    publicNetworkAccess: 'Enabled'
    clientAffinityEnabled: false
    keyVaultReferenceIdentity: readerId
    virtualNetworkSubnetId: empty(subnetId) ? null : subnetId
    functionAppConfig: flex ? {
      deployment: {
        storage: {
          type: 'blobContainer'
          value: packagesUrl
          authentication: {
            type: 'UserAssignedIdentity'
            userAssignedIdentityResourceId: readerId
          }
        }
      }
      runtime: {
        name: 'python'
        version: pythonVersion
      }
      scaleAndConcurrency: {
        instanceMemoryMB: instanceMemoryMB
        maximumInstanceCount: maximumInstances
      }
    } : null
    siteConfig: union({
      minTlsVersion: '1.2'
      scmMinTlsVersion: '1.2'
      http20Enabled: true
      remoteDebuggingEnabled: false
      ipSecurityRestrictionsDefaultAction: closed ? 'Deny' : 'Allow'
      ipSecurityRestrictions: closed ? concat(eventGridOnly, callers) : []
      scmIpSecurityRestrictionsDefaultAction: closed ? 'Deny' : 'Allow'
      scmIpSecurityRestrictions: closed ? callers : []
      scmIpSecurityRestrictionsUseMain: false
      appSettings: concat(baseSettings, configurationSettings, configurationBlobSettings, ingestionSettings, classicSettings, referenceSettings, furtherSettings, disabledSettings)
    }, flex ? {} : classicConfig)
  }
}

// Publishing takes an Entra token, never a user name and a password.
resource noFtp 'Microsoft.Web/sites/basicPublishingCredentialsPolicies@2024-04-01' = {
  parent: app
  name: 'ftp'
  properties: {
    allow: false
  }
}

resource noScm 'Microsoft.Web/sites/basicPublishingCredentialsPolicies@2024-04-01' = {
  parent: app
  name: 'scm'
  properties: {
    allow: false
  }
}

// Health stays open; whoever brings a token has it checked before the code sees it.
resource signIn 'Microsoft.Web/sites/config@2024-04-01' = if (!empty(signInClientId)) {
  parent: app
  name: 'authsettingsV2'
  properties: {
    platform: {
      enabled: true
    }
    globalValidation: {
      requireAuthentication: false
      unauthenticatedClientAction: 'AllowAnonymous'
    }
    httpSettings: {
      requireHttps: true
    }
    identityProviders: {
      azureActiveDirectory: {
        enabled: true
        registration: {
          clientId: signInClientId
          openIdIssuer: '${environment().authentication.loginEndpoint}${subscription().tenantId}/v2.0'
        }
        validation: {
          allowedAudiences: [
            'api://${signInClientId}'
          ]
        }
      }
    }
    login: {
      tokenStore: {
        enabled: false
      }
    }
  }
}

resource diagnostics 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = if (platformLogs) {
  name: 'scanguard'
  scope: app
  properties: {
    workspaceId: workspaceId
    logs: [
      {
        category: 'FunctionAppLogs'
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

output appId string = app.id
output appName string = app.name
