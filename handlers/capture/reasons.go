package capture

// Why a custodian is excluded. An exclusion is never an error and never silent: seals, manifests and the ledger name it.
const (
	ReasonNotFound  = "NotFound"        // the directory has no such user; also a distribution list, which is no mailbox
	ReasonNoMailbox = "NoMailbox"       // inactive, soft-deleted, on-premises, or never provisioned
	ReasonDenied    = "AccessDenied"    // a policy or scope refuses this mailbox to the application
	ReasonGuest     = "UnlicensedGuest" // a guest without a licence
	ReasonDuplicate = "Duplicate"       // another individual of the source has the same mailbox
)

// Why a batch was made. A gap's supplement has the gap's reason.
const (
	ReasonWindow = "window" // by schedule
	ReasonLate   = "late"   // to look a second time for what became visible after its window was collected
	ReasonSplit  = "split"  // to hold the custodians that failed in another batch
	ReasonLost   = "lost"   // not known: the state was lost while the batch was collected, and it is sealed as it lies there
)

// Why an individual is owed time that no batch of the schedule has collected, beside the reasons of exclusions.
const (
	ReasonJoined    = "Joined"          // the list or group names a time before the individual was known
	ReasonAbandoned = "Abandoned"       // out of attempts, out of time, or given up by a person
	ReasonCalendars = "CalendarsDenied" // email was collected, calendars were refused
	ReasonUnlisted  = "Unlisted"        // Graph could not list all of it
	ReasonRequested = "Requested"       // by an operator
	ReasonException = "Exceptions"      // items are to be fetched again, and no other batch will come to the mailbox
)
