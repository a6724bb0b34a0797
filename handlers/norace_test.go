//go:build !race

package main

const (
	measurable = true // whether the handler's memory says anything about the product
	share      = 1    // of what the tests of memory collect
)
