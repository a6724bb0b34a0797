package graph

import "strings"

// remedy says in one line what an operator can do about a code: Microsoft Entra's ("Microsoft Entra
// authentication and authorization error codes", "Configure an application to trust a managed identity") or one of ours, for the
// sign-in or for reading groups. It is "" for every other code, and goes into logs.
func remedy(code string) string {
	switch code {
	case "AADSTS7000215":
		return "the secret is not valid: copy the secret's Value, not its Secret ID, into the app setting"
	case "AADSTS7000222":
		return "the secret has expired: make a new one in the app registration and copy its Value into the app setting"
	case "AADSTS700016", "AADSTS700011":
		return "the tenant has no such application: applicationId must be the Application (client) ID, not the object or tenant id, and domain its tenant"
	case "AADSTS7000229":
		return "the application is not in this tenant yet: have an administrator of the tenant consent to it"
	case "AADSTS7000112", "AADSTS70001":
		return "the application is disabled: enable it in the tenant's Enterprise applications"
	case "AADSTS90002":
		return "there is no such tenant: check domain and cloud in sources.json"
	case "AADSTS500011":
		return "the tenant does not know this Graph: check cloud in sources.json"
	case "AADSTS65001", "AADSTS650056":
		return "consent is missing: have an administrator grant it under API permissions of the app registration"
	case "AADSTS53003":
		return "a Conditional Access policy blocks the application: exempt it, or admit the function app's addresses"
	case "AADSTS700027":
		return "the certificate is not the application's: upload its public part to the app registration, or put the registered one into the app setting"
	case "AADSTS700024":
		return "the assertion is not valid at this time: check the clock of the machine"
	case "AADSTS70021", "AADSTS700211", "AADSTS700212", "AADSTS700213":
		return "no federated credential of the app registration fits the managed identity: compare issuer, subject (its Object (principal) ID) and audience"
	case "CertificateUnreadable":
		return "it must hold certificate and private key as PEM, or a PFX without password in base64"
	case "CertificatePFXUnreadable":
		return "the PFX cannot be opened: export it without password and with 3DES and SHA-1 (openssl pkcs12 -export -legacy), or use PEM"
	case "CertificateWithoutKey":
		return "the private key is missing or encrypted: add it unencrypted, as PEM (BEGIN PRIVATE KEY)"
	case "CertificateMissing":
		return "the certificate is missing beside its private key: add it as PEM (BEGIN CERTIFICATE)"
	case "CertificateKeyMismatch":
		return "the private key is not the certificate's: put the two together that belong to each other"
	case "CertificateKeyNotRSA":
		return "the private key is no RSA key: make a certificate with an RSA key of 2048 bits or more"
	case "CertificateExpired":
		return "the certificate has expired: make a new one, upload its public part to the app registration, and put it into the app setting"
	case "CertificateNotYetValid":
		return "the certificate is not valid yet: wait, or put another one into the app setting"
	case "ManagedIdentityRefused":
		return "the function app has no such managed identity: assign it to the app, and check clientId in sources.json"
	case "ManagedIdentityUnreachable":
		return "no managed identity answers: check that one is assigned to the function app"
	case codeNoGroup:
		return "the tenant has no such group: individuals.groups in sources.json must name Object ids of groups that exist; remove one that was deleted"
	case codeGroupDenied:
		return "permission is missing: grant the application permission GroupMember.Read.All with admin consent, or remove individuals.groups"
	case codeHiddenGroup:
		return "the group hides its members, or has none: grant the application permission Member.Read.Hidden, or use another group"
	case codeHiddenMembers:
		return "Graph gives the members without their names: grant the application permission User.Read.All with admin consent"
	}
	if strings.HasPrefix(code, "AADSTS") {
		return "look the code up in Microsoft Entra authentication and authorization error codes"
	}
	return ""
}
