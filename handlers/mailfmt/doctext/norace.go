//go:build !race

package doctext

// raceFactor is how many times the memory a worker needs with the race detector: without it, no more.
const raceFactor = 1
