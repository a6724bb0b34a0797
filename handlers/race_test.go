//go:build race

package main

// Under the race detector a handler's memory says nothing about the product, and everything takes many times as long: the
// tests of memory collect a twentieth, and hold all but the figures.
const (
	measurable = false
	share      = 20
)
