// AcrPull on one registry. A registry in ABAC mode needs the role Container Registry Repository Reader instead.

param registryName string
param principalId string

@description('AcrPull.')
var pullRole = '7f951dda-4ed3-4680-a7ca-43fe172d538d'

resource registry 'Microsoft.ContainerRegistry/registries@2023-07-01' existing = {
  name: registryName
}

resource pull 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(registry.id, principalId, pullRole)
  scope: registry
  properties: {
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', pullRole)
    principalId: principalId
    principalType: 'ServicePrincipal'
  }
}
