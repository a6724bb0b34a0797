//go:build !race

package main

// measurable says whether the handler's memory says anything about the product.
const measurable = true
