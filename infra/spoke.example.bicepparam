// Copy to spoke.bicepparam and fill in with the outputs of the hub's deployment.
using 'spoke.bicep'

param location = 'westeurope'
param hubFunctionAppId = '/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/rg-scanguard/providers/Microsoft.Web/sites/FUNCTION-APP'
param hubStorageAccountId = '/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/rg-scanguard/providers/Microsoft.Storage/storageAccounts/STORAGEACCOUNT'
param hubReaderPrincipalId = '00000000-0000-0000-0000-000000000000'
param hubWorkspaceId = '/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/rg-scanguard/providers/Microsoft.OperationalInsights/workspaces/WORKSPACE'
