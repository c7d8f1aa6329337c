// Alert rules: what they ask stands in monitoring/alerts.json, beside the queries it is taken from.

param location string
param name string
param tags object

@description('The workspace the rules ask: tables have their workspace names, such as AppTraces.')
param workspaceId string

@description('Ids of action groups that are told. Empty: alerts are only shown.')
param actionGroupIds array

var rules = loadJsonContent('../monitoring/alerts.json').rules

resource alerts 'Microsoft.Insights/scheduledQueryRules@2023-12-01' = [for rule in rules: {
  name: '${name}-${rule.name}'
  location: location
  tags: tags
  kind: 'LogAlert'
  properties: {
    displayName: 'scanguard: ${rule.displayName}'
    description: rule.description
    severity: rule.severity
    enabled: true
    autoMitigate: rule.autoMitigate
    evaluationFrequency: rule.evaluationFrequency
    windowSize: rule.windowSize
    scopes: [
      workspaceId
    ]
    // A table that has never had a row does not exist yet.
    skipQueryValidation: true
    criteria: {
      allOf: [
        {
          query: rule.query
          timeAggregation: 'Count'
          operator: 'GreaterThan'
          threshold: rule.threshold
          failingPeriods: {
            numberOfEvaluationPeriods: 1
            minFailingPeriodsToAlert: 1
          }
        }
      ]
    }
    actions: {
      actionGroups: actionGroupIds
    }
  }
}]
