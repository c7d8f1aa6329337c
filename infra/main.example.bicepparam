// Copy to main.bicepparam and fill in. Nothing here is secret, and nothing secret belongs here.
using 'main.bicep'

param name = 'scanguard'
param location = 'westeurope'
param resourceGroupName = 'rg-scanguard'
param tags = {
  owner: 'PLATFORM-TEAM'
}

param hostingPlan = 'flex'
param storageSku = 'Standard_GRS'

// First false; publish the package; then true.
param connectEvents = false

param registries = [
  {
    subscriptionId: '00000000-0000-0000-0000-000000000000'
    resourceGroup: 'RESOURCE-GROUP-OF-THE-REGISTRY'
    name: 'REGISTRYNAME'
    location: 'westeurope'
    events: false
  }
]

// Environment variable to name of a secret in the vault.
param secretSettings = {
  QUALYS_USER: 'QualysUsername'
  QUALYS_PASSWORD: 'QualysPassword'
}

param secure = false
param allowedIpRanges = []
param actionGroupIds = []
