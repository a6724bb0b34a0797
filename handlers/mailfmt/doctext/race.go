//go:build race

package doctext

// raceFactor is how many times the memory a worker needs with the race detector. As many times slower it is, so that it
// unpacks less.
const raceFactor = 8
