package main

import (
	"slices"
	"strings"

	"chainmail/handlers/graph/graphtest"
)

// sampleGroup is the object id of the group that sample/every-setting.json names.
const sampleGroup = "4a7d0c35-92be-4d1f-8c64-e05b1f7a2d96"

// sampleTenant is the tenant that the stand-in for Microsoft Graph serves: the sample, with a group of one member as most are,
// one whose sign-in is blocked, one without a licence, and a shared mailbox, which is both.
func sampleTenant() *graphtest.Tenant {
	tenant, _ := graphtest.Sample(1)
	group := &graphtest.Group{ID: sampleGroup, DisplayName: "Back office"}
	for _, u := range tenant.Users {
		nickname, _, _ := strings.Cut(u.UserPrincipalName, "@")
		if slices.Contains([]string{"hugo.castellan", "piotr.zielinski", "svenja.brandt", "accounts"}, nickname) {
			group.Members = append(group.Members, u.ID)
		}
	}
	tenant.Groups = append(tenant.Groups, group)
	return tenant
}
