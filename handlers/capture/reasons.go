package capture

// Why a custodian is excluded. An exclusion is never an error and never silent: seals, manifests and the ledger name it.
const (
	ReasonNotFound  = "NotFound"        // the directory has no such user; also a distribution list, which is no mailbox
	ReasonNoMailbox = "NoMailbox"       // inactive, soft-deleted, on-premises, or never provisioned
	ReasonDenied    = "AccessDenied"    // a policy or scope refuses this mailbox to the application
	ReasonGuest     = "UnlicensedGuest" // a guest without a licence
	ReasonDuplicate = "Duplicate"       // another individual of the source has the same mailbox
)
