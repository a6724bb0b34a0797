package settings

import (
	"strings"
	"testing"
)

func TestTheConsoleIsOpenOnOnesOwnMachineAlone(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		pairs []string
		want  bool
	}{
		"not set":          {nil, false},
		"local":            {[]string{"CHAINMAIL_CONSOLE", "local"}, true},
		"instance":         {[]string{"CHAINMAIL_CONSOLE", "local", "WEBSITE_INSTANCE_ID", "1"}, false},
		"site":             {[]string{"CHAINMAIL_CONSOLE", "local", "WEBSITE_SITE_NAME", "app"}, false},
		"pod":              {[]string{"CHAINMAIL_CONSOLE", "local", "WEBSITE_POD_NAME", "p"}, false},
		"deployed, unset":  {[]string{"WEBSITE_SITE_NAME", "app"}, false},
		"func start names": {[]string{"CHAINMAIL_CONSOLE", "local", "WEBSITE_HOSTNAME", "localhost:7071"}, true},
	} {
		env, err := FromEnvironment(from(with(row.pairs...)))
		if err != nil || env.Console.Local != row.want || env.Console.SignIn() {
			t.Errorf("%s: Console = %v, %v, want %v", name, env.Console, err, row.want)
		}
	}
	for _, value := range []string{
		"true", "remote", "LOCAL", "tenant=" + aGUID, "audience=" + aGUID, "tenant=contoso.example;audience=" + aGUID,
		"tenant=" + aGUID + ";audience=api://x", "tenant=" + aGUID + ";audience=" + aGUID + ";cloud=mars", "local;tenant=" + aGUID,
		"tenant=" + aGUID + ";audience=" + aGUID + ";role=x",
	} {
		if _, err := FromEnvironment(from(with("CHAINMAIL_CONSOLE", value))); err == nil {
			t.Errorf("CHAINMAIL_CONSOLE=%s is accepted", value)
		}
	}
}

const aGUID = "11111111-AAAA-4111-8111-111111111111"

func TestTheConsoleAnswersWhoSignsInAtTheTenant(t *testing.T) {
	t.Parallel()
	small := strings.ToLower(aGUID)
	for cloud, login := range map[string]string{
		"": "https://login.microsoftonline.com", "; cloud = usgov": "https://login.microsoftonline.us",
		";cloud=china": "https://login.partner.microsoftonline.cn",
	} {
		env, err := FromEnvironment(from(with("CHAINMAIL_CONSOLE", "tenant="+aGUID+"; audience="+aGUID+cloud, "WEBSITE_SITE_NAME", "app")))
		if want := (Console{Tenant: small, Audience: small, Login: login}); err != nil || env.Console != want {
			t.Errorf("%q: %+v, %v, want %+v", cloud, env.Console, err, want)
		}
	}
}
