// `scanguard worker --lane heavy`: scans that need disk, memory or many minutes. Nothing runs while the lane is empty.

param location string
param name string
param tags object
param image string

@description('Registry that the image is pulled from with the identity. Empty: it is public.')
param registryServer string

param readerId string
param readerClientId string
param storageAccountName string
param insightsName string
param workspaceId string
param subnetId string

@minValue(1)
@maxValue(100)
param maximumReplicas int

@description('Cores, and memory such as 4Gi. Container Apps pairs them: 2 cores with 4Gi.')
param cores string
param memory string

var names = loadJsonContent('names.json')

resource insights 'Microsoft.Insights/components@2020-02-02' existing = {
  name: insightsName
}

resource managedEnvironment 'Microsoft.App/managedEnvironments@2025-01-01' = {
  name: 'cae-${name}'
  location: location
  tags: tags
  properties: {
    // Logs go out by a diagnostic setting, which needs no workspace key.
    appLogsConfiguration: {
      destination: 'azure-monitor'
    }
    vnetConfiguration: empty(subnetId) ? null : {
      infrastructureSubnetId: subnetId
      internal: true
    }
    workloadProfiles: [
      {
        name: 'Consumption'
        workloadProfileType: 'Consumption'
      }
    ]
  }
}

resource worker 'Microsoft.App/containerApps@2025-01-01' = {
  name: 'ca-${name}-heavy'
  location: location
  tags: tags
  identity: {
    type: 'UserAssigned'
    userAssignedIdentities: {
      '${readerId}': {}
    }
  }
  properties: {
    environmentId: managedEnvironment.id
    workloadProfileName: 'Consumption'
    configuration: {
      activeRevisionsMode: 'Single'
      registries: empty(registryServer) ? [] : [
        {
          server: registryServer
          identity: readerId
        }
      ]
    }
    template: {
      // Work that is not done by then is given back, and done by the next replica.
      terminationGracePeriodSeconds: 600
      containers: [
        {
          name: 'worker'
          image: image
          args: [
            'worker'
            '--lane'
            'heavy'
          ]
          resources: {
            cpu: json(cores)
            memory: memory
          }
          env: [
            {
              name: 'AZURE_CLIENT_ID'
              value: readerClientId
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
        }
      ]
      scale: {
        minReplicas: 0
        maxReplicas: maximumReplicas
        rules: [
          {
            // Counts hidden messages too: one in work is hidden, and its replica must not be taken away.
            name: 'heavy-lane'
            azureQueue: {
              accountName: storageAccountName
              queueName: names.heavyQueue
              queueLength: 1
              identity: readerId
            }
          }
        ]
      }
    }
  }
}

resource diagnostics 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  name: 'scanguard'
  scope: managedEnvironment
  properties: {
    workspaceId: workspaceId
    logs: [
      {
        categoryGroup: 'allLogs'
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

output workerName string = worker.name
