//go:build race

package main

// Under the race detector a handler's memory says nothing about the product, and everything takes many times as long.
const measurable = false
