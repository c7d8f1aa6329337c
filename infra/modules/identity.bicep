// Who scanguard is: one identity that reads, and one that acts where that is asked for. Neither has a secret.

param location string
param name string
param tags object

@description('Whether the identity that writes tags is made.')
param acting bool

resource reader 'Microsoft.ManagedIdentity/userAssignedIdentities@2023-01-31' = {
  name: 'id-${name}-read'
  location: location
  tags: tags
}

resource actor 'Microsoft.ManagedIdentity/userAssignedIdentities@2023-01-31' = if (acting) {
  name: 'id-${name}-act'
  location: location
  tags: tags
}

output readerId string = reader.id
output readerClientId string = reader.properties.clientId
output readerPrincipalId string = reader.properties.principalId
output actorId string = acting ? actor.id : ''
output actorClientId string = acting ? actor!.properties.clientId : ''
output actorPrincipalId string = acting ? actor!.properties.principalId : ''
