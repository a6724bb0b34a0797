package main

import (
	"net/http"
	"time"

	"chainmail/handlers/console"
	"chainmail/handlers/settings"
)

// signInTime is how long the tenant's signing keys may take to come.
const signInTime = 10 * time.Second

// signedIn is the sign-in of the console's callers; nil: there is none.
func signedIn(c settings.Console, now func() time.Time) *console.SignIn {
	if !c.SignIn() {
		return nil
	}
	return &console.SignIn{
		Tenant: c.Tenant, Audience: c.Audience, Login: c.Login, Client: &http.Client{Timeout: signInTime}, Now: now,
	}
}
