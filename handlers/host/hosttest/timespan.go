package hosttest

import (
	"errors"
	"regexp"
	"strconv"
	"time"
)

var timeSpan = regexp.MustCompile(`^(?:(\d{1,4})\.)?(\d{1,2}):([0-5]?\d)(?::([0-5]?\d)(?:\.(\d{1,7}))?)?$`)

// parseTimeSpan reads a .NET TimeSpan as host.json has it: [d.]hh:mm[:ss[.fffffff]].
func parseTimeSpan(s string) (time.Duration, error) {
	m := timeSpan.FindStringSubmatch(s)
	if m == nil {
		return 0, errors.New("not a time span [d.]hh:mm:ss")
	}
	number := func(text string) time.Duration {
		n, _ := strconv.Atoi(text) // the pattern passes digits only; "" is 0
		return time.Duration(n)
	}
	if number(m[2]) > 23 {
		return 0, errors.New("time span's hours are not from 0 to 23")
	}
	fraction := number((m[5] + "0000000")[:7]) * 100 * time.Nanosecond
	return number(m[1])*24*time.Hour + number(m[2])*time.Hour + number(m[3])*time.Minute +
		number(m[4])*time.Second + fraction, nil
}
