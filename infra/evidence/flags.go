package main

import (
	"errors"
	"flag"
	"time"
)

// parse reads a command's flags, the one folder or container, and how it is opened. Flags may stand behind it as well.
func parse(f *flag.FlagSet, args []string, lookup func(string) (string, bool)) (where, error) {
	var w where
	var places []string
	env := f.String("connection-string-env", "", "environment variable, by `NAME`, with the storage account's connection string")
	for {
		err := f.Parse(args)
		if errors.Is(err, flag.ErrHelp) {
			return w, err
		}
		if err != nil {
			return w, refuse("the command line cannot be read")
		}
		if f.NArg() == 0 {
			break
		}
		places, args = append(places, f.Arg(0)), f.Args()[1:]
	}
	if len(places) != 1 {
		return w, refuse("give one folder or container; evidence %s -h says more", f.Name())
	}
	w.place = places[0]
	if *env != "" {
		w.connection, _ = lookup(*env)
		if w.connection == "" {
			return w, refuse("the environment variable %s, which -connection-string-env names, is empty", *env)
		}
	}
	return w, nil
}

// timeFlag is a flag with a time, on whole seconds as all periods are.
func timeFlag(f *flag.FlagSet, name, usage string, to *time.Time) {
	f.Func(name, usage, func(s string) error {
		t, err := time.Parse(time.RFC3339, s)
		if err != nil || t.Nanosecond() != 0 || t.IsZero() {
			return errors.New("a time is written as in 2026-03-02T00:00:00Z, on whole seconds")
		}
		*to = t.UTC()
		return nil
	})
}

// inOrder refuses a period that ends before it begins.
func inOrder(from, to time.Time) error {
	if !from.IsZero() && !to.IsZero() && !from.Before(to) {
		return refuse("-from must lie before -to")
	}
	return nil
}
