// How often each method was called, whoever answered it.

package main

import (
	"maps"
	"sync"
)

// tally counts calls by their method: those of SOAP by its name, those of the REST API by the name that rules have for it.
type tally struct {
	sync.Mutex
	of map[string]int
}

func (t *tally) add(method string) {
	t.Lock()
	defer t.Unlock()
	if t.of == nil {
		t.of = map[string]int{}
	}
	t.of[method]++
}

func (t *tally) all() map[string]int {
	t.Lock()
	defer t.Unlock()
	if t.of == nil {
		return map[string]int{}
	}
	return maps.Clone(t.of)
}

func (t *tally) clear() {
	t.Lock()
	defer t.Unlock()
	t.of = nil
}
