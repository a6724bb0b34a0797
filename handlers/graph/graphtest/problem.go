package graphtest

// A refusal is what a problem makes of every call to the mailbox.
type refusal struct {
	status        int
	code, message string
}

// problem gives what a [User.Problem] answers; false for one that is not known. ProblemQuota answers nothing by itself.
func problem(name string) (refusal, bool) {
	switch name {
	case ProblemDenied:
		return refusal{403, "ErrorAccessDenied",
			"Access to OData is disabled: [RAOP] : Blocked by tenant configured AppOnly AccessPolicy settings."}, true
	case ProblemOutOfScope:
		return refusal{403, "ErrorAccessDenied", "Access is denied. Check credentials and try again."}, true
	case ProblemInsufficient:
		return refusal{403, "Authorization_RequestDenied", "Insufficient privileges to complete the operation."}, true
	case ProblemLapsed:
		return refusal{403, "notAllowed", "A subscription within the tenant has lapsed, or the application is disabled."}, true
	case ProblemLocked:
		return refusal{403, "resourceLocked", "A subscription within the tenant has lapsed, or the application is disabled."}, true

	case ProblemUnauthorized:
		return refusal{401, "AuthenticationError", "Error authenticating with resource"}, true
	case ProblemTokenExpired:
		return refusal{401, "InvalidAuthenticationToken", "Access token has expired or is not yet valid."}, true
	case ProblemUnconsented:
		return refusal{401, "UnknownError", ""}, true

	case ProblemInactive:
		return refusal{404, "MailboxNotEnabledForRESTAPI",
			"The mailbox is either inactive, soft-deleted, or is hosted on-premise."}, true
	case ProblemNotSupported:
		return refusal{404, "MailboxNotSupportedForRESTAPI", "REST API is not yet supported for this mailbox."}, true
	case ProblemInvalidUser:
		return refusal{404, "ErrorInvalidUser", "The requested user is invalid."}, true
	case ProblemUndiscovered:
		return refusal{404, "ResourceNotFound", "Resource could not be discovered."}, true
	case ProblemNoObject:
		return refusal{404, "Request_ResourceNotFound",
			"Resource does not exist or one of its queried reference-property objects are not present."}, true
	case ProblemNonExistent:
		return refusal{404, "ErrorNonExistentMailbox", "No mailbox with such guid."}, true
	case ProblemNoFolders:
		return refusal{404, "ErrorItemNotFound", "The specified object was not found in the store."}, true

	case ProblemMoving:
		return refusal{503, "ErrorMailboxMoveInProgress", "Mailbox move in progress. Please try again later."}, true
	case ProblemStore:
		return refusal{503, "ErrorMailboxStoreUnavailable", "The mailbox database is temporarily unavailable."}, true
	case ProblemStoreShort:
		return refusal{503, "MailboxStoreUnavailable", "The mailbox database is temporarily unavailable."}, true
	case ProblemBusy:
		return refusal{503, "ErrorServerBusy", "The server cannot service this request right now. Try again later."}, true
	case ProblemTimeout:
		return refusal{503, "ErrorTimeoutExpired", "The request did not complete within the allotted time."}, true
	case ProblemTransient:
		return refusal{500, "ErrorInternalServerTransientError", "Cannot query rows in a table."}, true
	case ProblemDirectory:
		return refusal{503, "ErrorADUnavailable", "The mail server is not currently available."}, true
	case ProblemConnection:
		return refusal{503, "ErrorConnectionFailed", "Connection failed. Try later."}, true
	case ProblemQuota:
		return refusal{}, true
	}
	return refusal{}, false
}
