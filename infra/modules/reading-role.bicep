// What reading needs in one subscription, and nothing else: images of the workloads, and Resource Graph over them.
targetScope = 'subscription'

param principalId string

@description('Actions of the reading identity; the platform plugin asks for nothing else.')
var actions = [
  'Microsoft.ContainerInstance/containerGroups/read'
  'Microsoft.App/containerApps/read'
  'Microsoft.App/containerApps/revisions/read'
  'Microsoft.App/jobs/read'
  'Microsoft.App/jobs/executions/read'
  'Microsoft.ResourceGraph/resources/read'
  'Microsoft.Resources/subscriptions/read'
]

// Names of roles are unique in a tenant, so each subscription's has its id.
resource role 'Microsoft.Authorization/roleDefinitions@2022-04-01' = {
  name: guid(subscription().id, 'scanguard-read')
  properties: {
    roleName: 'scanguard read ${subscription().subscriptionId}'
    description: 'Reads container groups, container apps and jobs, to know which images run. No secrets, no writes.'
    type: 'CustomRole'
    permissions: [
      {
        actions: actions
        notActions: []
        dataActions: []
        notDataActions: []
      }
    ]
    assignableScopes: [
      subscription().id
    ]
  }
}

resource assignment 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(subscription().id, principalId, 'scanguard-read')
  properties: {
    roleDefinitionId: role.id
    principalId: principalId
    principalType: 'ServicePrincipal'
  }
}
