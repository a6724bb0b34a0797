// Alerts on the log events of the app, each with a recipient, and the one on credentials that end.

@description('Region of the resources.')
param location string

@description('Tags of the resources.')
param tags object

@description('First part of the alerts\' names.')
param prefix string

@description('Resource id of the Application Insights component.')
param componentId string

@description('Resource id of the vault.')
param vaultId string

@description('Addresses that get the alerts.')
param emails string[]

@description('Resource id of an action group of one\'s own; empty: one is made for the addresses.')
param actionGroupId string

@description('Hours without a sealed batch of a source that are an alert; 24 or 48.')
@allowed([
  24
  48
])
param healthHours int

@description('Minutes without a sign of life of plan that are an alert.')
@allowed([
  15
  30
  60
  120
])
param silenceMinutes int

@description('true: an alert fires as long as plan runs, to prove that alerts arrive. Set it back to false.')
param testAlert bool

var line = 'traces | where tostring(customDimensions.Category) == "Host.Function.Console" | extend e = parse_json(message)'

var rules = [
  {
    name: 'gap-open'
    title: 'Gap open for more than an hour'
    severity: 2
    frequency: 'PT30M'
    window: 'P2D'
    operator: 'GreaterThan'
    threshold: 0
    dimensions: [
      'source'
      'reason'
    ]
    query: '''
| where e.msg in ("gap opened", "gap closed")
| summarize first = minif(timestamp, e.msg == "gap opened"), opened = maxif(timestamp, e.msg == "gap opened"), closed = maxif(timestamp, e.msg == "gap closed")
    by source = tostring(e.source), reason = tostring(e.reason), custodian = tostring(e.custodian), start = tostring(e.start), end = tostring(e.end)
| where first < ago(1h) and (isnull(closed) or closed < opened)'''
  }
  {
    name: 'batch-incomplete'
    title: 'Batch abandoned or completed with errors'
    severity: 1
    frequency: 'PT15M'
    window: 'PT30M'
    operator: 'GreaterThan'
    threshold: 0
    dimensions: [
      'source'
      'batch'
    ]
    query: '''
| where e.msg == "batch sealed" and e.status in ("Abandoned", "CompletedWithErrors")
| extend source = tostring(e.source), batch = tostring(e.batch)'''
  }
  {
    name: 'nothing-sealed'
    title: 'No batch sealed within the health window'
    severity: 1
    frequency: 'PT1H'
    window: healthHours == 24 ? 'P1D' : 'P2D'
    operator: 'GreaterThan'
    threshold: 0
    dimensions: [
      'source'
    ]
    query: '''
| where e.msg in ("individuals synchronised", "batch sealed")
| extend source = tostring(e.source)
| summarize known = min(timestamp), sealed = countif(e.msg == "batch sealed") by source
| where sealed == 0 and known < ago(12h)'''
  }
  {
    name: 'poison'
    title: 'Message given up by the host'
    severity: 2
    frequency: 'PT15M'
    window: 'PT30M'
    operator: 'GreaterThan'
    threshold: 0
    dimensions: [
      'source'
    ]
    query: '''
| where e.msg == "chunk buried" or (e.msg == "queue depth" and e.queue == "chunks-poison" and toint(e.messages) > 0)
| extend source = tostring(e.source)'''
  }
  {
    name: 'source-refused'
    title: 'Microsoft 365 refuses a source'
    severity: 1
    frequency: 'PT15M'
    window: 'PT30M'
    operator: 'GreaterThan'
    threshold: 0
    dimensions: [
      'source'
    ]
    query: '''
| where e.msg == "source refused"
| extend source = tostring(e.source)'''
  }
  {
    name: 'source-disabled'
    title: 'Source disabled'
    severity: 0
    frequency: 'PT15M'
    window: 'PT30M'
    operator: 'GreaterThan'
    threshold: 0
    dimensions: [
      'source'
    ]
    query: '''
| where e.msg == "source disabled"
| extend source = tostring(e.source)'''
  }
  {
    name: 'exception-near-retention'
    title: 'Exception will soon be deleted by Exchange'
    severity: 1
    frequency: 'PT1H'
    window: 'PT2H'
    operator: 'GreaterThan'
    threshold: 0
    dimensions: [
      'source'
      'custodian'
    ]
    query: '''
| where e.msg == "exception near retention"
| extend source = tostring(e.source), custodian = tostring(e.custodian)'''
  }
  {
    name: 'config-rejected'
    title: 'Configuration rejected'
    severity: 2
    frequency: 'PT15M'
    window: 'PT30M'
    operator: 'GreaterThan'
    threshold: 0
    dimensions: []
    query: '''
| where e.msg == "config rejected"'''
  }
  {
    name: 'plan-silent'
    title: 'plan gives no sign of life'
    severity: 0
    frequency: 'PT15M'
    window: 'PT${silenceMinutes >= 60 ? '${silenceMinutes / 60}H' : '${silenceMinutes}M'}'
    operator: 'LessThan'
    threshold: 1
    dimensions: []
    query: '''
| where e.function == "plan" and e.msg == "queue depth"'''
  }
]

var test = {
  name: 'test'
  title: 'Test: alerts arrive'
  severity: 4
  frequency: 'PT5M'
  window: 'PT15M'
  operator: 'GreaterThan'
  threshold: 0
  dimensions: []
  query: '''
| where e.msg == "queue depth"'''
}

resource group 'Microsoft.Insights/actionGroups@2023-01-01' = if (empty(actionGroupId)) {
  name: '${prefix}-operators'
  location: 'global'
  tags: tags
  properties: {
    groupShortName: 'chainmail'
    enabled: true
    emailReceivers: [for (address, i) in emails: {
      name: 'operator-${i}'
      emailAddress: address
      useCommonAlertSchema: true
    }]
  }
}

var recipient = empty(actionGroupId) ? group.id : actionGroupId

resource alerts 'Microsoft.Insights/scheduledQueryRules@2023-12-01' = [for rule in concat(rules, testAlert ? [
  test
] : []): {
  name: '${prefix}-${rule.name}'
  location: location
  tags: tags
  kind: 'LogAlert'
  properties: {
    displayName: 'Chainmail: ${rule.title}'
    description: 'What it means and what to do: infra/README.md, "Watch", ${rule.name}.'
    severity: rule.severity
    enabled: true
    scopes: [
      componentId
    ]
    evaluationFrequency: rule.frequency
    windowSize: rule.window
    autoMitigate: true
    skipQueryValidation: true
    criteria: {
      allOf: [
        {
          query: '${line}${rule.query}'
          timeAggregation: 'Count'
          operator: rule.operator
          threshold: rule.threshold
          dimensions: map(rule.dimensions, name => {
            name: name
            operator: 'Include'
            values: [
              '*'
            ]
          })
          failingPeriods: {
            numberOfEvaluationPeriods: 1
            minFailingPeriodsToAlert: 1
          }
        }
      ]
    }
    actions: {
      actionGroups: [
        recipient
      ]
    }
  }
}]

resource expiry 'Microsoft.EventGrid/systemTopics@2025-02-15' = {
  name: '${prefix}-vault'
  location: location
  tags: tags
  properties: {
    source: vaultId
    topicType: 'Microsoft.KeyVault.vaults'
  }
}

resource credential 'Microsoft.EventGrid/systemTopics/eventSubscriptions@2025-02-15' = {
  parent: expiry
  name: 'credential-ends'
  properties: {
    eventDeliverySchema: 'CloudEventSchemaV1_0'
    filter: {
      includedEventTypes: [
        'Microsoft.KeyVault.SecretNearExpiry'
        'Microsoft.KeyVault.SecretExpired'
      ]
    }
    destination: {
      endpointType: 'MonitorAlert'
      properties: {
        severity: 'Sev1'
        description: 'Chainmail: a source\'s credential ends within 30 days, or has ended. infra/README.md, "Watch", credential-ends.'
        actionGroups: [
          recipient
        ]
      }
    }
  }
}

@description('Resource id of the action group that gets the alerts.')
output actionGroupId string = recipient
