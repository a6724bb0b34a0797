package main

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"chainmail/handlers/graph/graphtest"
)

// TestWhatAServerSendsOutOfTurnIsNotRepeated has a Graph that sends the canary after each answer, on the connection that the
// handler keeps.
func TestWhatAServerSendsOutOfTurnIsNotRepeated(t *testing.T) {
	t.Parallel()
	w := newSmallWorld(t)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go babble(conn)
		}
	}()
	w.configure(w.source(map[string]any{"graphEndpoint": "http://" + listener.Addr().String() + "/v1.0"}))
	w.start()
	w.tick("people")
	if !strings.Contains(w.logged(), `"individuals synchronised"`) {
		t.Error("the individuals were not looked up: the test would prove nothing")
	}
}

// babble answers one request after another that there is no such user, and goes on talking.
func babble(conn net.Conn) {
	defer conn.Close()
	in := bufio.NewReader(conn)
	for {
		r, err := http.ReadRequest(in)
		if err != nil {
			return
		}
		_, _ = io.Copy(io.Discard, r.Body)
		const body = `{"error":{"code":"Request_ResourceNotFound"}}`
		text := "HTTP/1.1 404 Not Found\r\nContent-Type: application/json\r\nContent-Length: 45\r\n\r\n" + body
		if _, err := io.WriteString(conn, text+"Subject: "+graphtest.Canary+"\r\n"); err != nil {
			return
		}
	}
}
