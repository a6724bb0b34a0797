package settings

import "testing"

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
		if err != nil || env.Console != row.want {
			t.Errorf("%s: Console = %v, %v, want %v", name, env.Console, err, row.want)
		}
	}
	for _, value := range []string{"true", "remote", "LOCAL"} {
		if _, err := FromEnvironment(from(with("CHAINMAIL_CONSOLE", value))); err == nil {
			t.Errorf("CHAINMAIL_CONSOLE=%s is accepted", value)
		}
	}
}
