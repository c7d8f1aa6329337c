// Writes and deletions of workloads, from a subscription's topic to the function. What cannot be delivered is kept.

param topicName string
param name string

@description('Resource id of the function app.')
param functionAppId string

@description('Resource id of the account with the dead-letter container.')
param storageAccountId string

@description('Start of the subject, such as /subscriptions/ID/resourceGroups/rg-shop/. Empty: all of the subscription.')
param subjectBeginsWith string

var names = loadJsonContent('names.json')

@description('The operations that the event source understands; a filter compares without regard to case.')
var operations = [
  'Microsoft.ContainerInstance/containerGroups/write'
  'Microsoft.ContainerInstance/containerGroups/delete'
  'Microsoft.App/containerApps/write'
  'Microsoft.App/containerApps/delete'
  'Microsoft.App/jobs/write'
  'Microsoft.App/jobs/delete'
]

resource topic 'Microsoft.EventGrid/systemTopics@2022-06-15' existing = {
  name: topicName
}

resource workloads 'Microsoft.EventGrid/systemTopics/eventSubscriptions@2022-06-15' = {
  parent: topic
  name: name
  properties: {
    eventDeliverySchema: 'EventGridSchema'
    destination: {
      endpointType: 'AzureFunction'
      properties: {
        resourceId: '${functionAppId}/functions/${names.functions.events}'
        maxEventsPerBatch: 16
        preferredBatchSizeInKilobytes: 64
      }
    }
    filter: {
      includedEventTypes: [
        'Microsoft.Resources.ResourceWriteSuccess'
        'Microsoft.Resources.ResourceDeleteSuccess'
      ]
      subjectBeginsWith: subjectBeginsWith
      isSubjectCaseSensitive: false
      enableAdvancedFilteringOnArrays: true
      advancedFilters: [
        {
          operatorType: 'StringIn'
          key: 'data.operationName'
          values: operations
        }
      ]
    }
    retryPolicy: {
      maxDeliveryAttempts: 30
      eventTimeToLiveInMinutes: 1440
    }
    deadLetterWithResourceIdentity: {
      identity: {
        type: 'SystemAssigned'
      }
      deadLetterDestination: {
        endpointType: 'StorageBlob'
        properties: {
          resourceId: storageAccountId
          blobContainerName: names.containers.deadLetters
        }
      }
    }
  }
}
