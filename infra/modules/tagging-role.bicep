// What writing tags needs in one subscription: narrower than the built-in Tag Contributor. Given to the acting identity only.
targetScope = 'subscription'

param principalId string

var actions = [
  'Microsoft.Resources/tags/read'
  'Microsoft.Resources/tags/write'
]

resource role 'Microsoft.Authorization/roleDefinitions@2022-04-01' = {
  name: guid(subscription().id, 'scanguard-tag')
  properties: {
    roleName: 'scanguard tag ${subscription().subscriptionId}'
    description: 'Writes tags through Microsoft.Resources/tags. Changes no resource.'
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
  name: guid(subscription().id, principalId, 'scanguard-tag')
  properties: {
    roleDefinitionId: role.id
    principalId: principalId
    principalType: 'ServicePrincipal'
  }
}
