// A sample: copy it, and put in what is yours. Every parameter that is missing has its default (main.bicep describes all).
using 'main.bicep'

param name = 'chainmail'

// Begin unlocked and short. Locking is a step of its own: README, "Lock".
param evidenceContainers = [
  {
    name: 'evidence'
    days: 7
    lock: false
  }
]
param evidenceRedundancy = 'Standard_ZRS'
param coolAfterDays = 30

// One for each source whose credential is a secret or certificate.
param credentialSettings = [
  'O365_MAIL_SECRET'
]

param alertEmails = [
  'compliance-operations@contoso.com'
]
