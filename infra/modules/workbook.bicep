// The workbook: what has been collected, what is missing, and what it costs.

@description('Region of the resources.')
param location string

@description('Tags of the resources.')
param tags object

@description('Name that the portal shows.')
param displayName string

@description('Resource id of the Application Insights component.')
param componentId string

@description('Resource id of the Log Analytics workspace.')
param workspaceId string

@description('Resource id of the state account.')
param stateAccountId string

@description('Resource id of the evidence account.')
param evidenceAccountId string

var text = loadTextContent('../workbook.json')
var inComponent = replace(text, '__COMPONENT__', componentId)
var inWorkspace = replace(inComponent, '__WORKSPACE__', workspaceId)
var inState = replace(inWorkspace, '__STATE__', stateAccountId)

resource workbook 'Microsoft.Insights/workbooks@2023-06-01' = {
  name: guid(resourceGroup().id, 'chainmail-workbook')
  location: location
  tags: tags
  kind: 'shared'
  properties: {
    displayName: displayName
    category: 'workbook'
    version: '1.0'
    sourceId: componentId
    serializedData: replace(inState, '__EVIDENCE__', evidenceAccountId)
  }
}

@description('Resource id of the workbook.')
output id string = workbook.id
