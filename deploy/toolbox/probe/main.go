// The guest of a cluster's tests, one static program for both ends:
//
//	probe serve              answers on :8080 with its own name; /busy?milliseconds=N works one core for that long
//	probe ask URL            prints what is answered; exit code 1 when nothing is within two seconds
//	probe ask-each N URL     N new connections one after the other, a line each
//	probe load RATE STATUS=URL...   that many requests a second to each URL; prints what became of them as JSON.
//	                         Every other one takes a new connection. STATUS is what must be answered. The first line
//	                         of the input is a token to bear, or empty; the second ends the load
//	probe connect HOST:PORT...   a line each: "open", or why not
//	probe resolve NAME       prints the addresses of a name
//	probe write FILE         exit code 1 when the file cannot be written
//	probe read FILE          prints it
//	probe hold MEGABYTES     takes that much memory, and keeps it
package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"strconv"
	"sync"
	"time"
)

const (
	askLimit  = 2 * time.Second
	busyLimit = 5 * time.Minute
)

func main() {
	if len(os.Args) < 2 {
		log.Fatal("probe serve | ask URL | ask-each N URL | load RATE STATUS=URL... | connect HOST:PORT... | resolve NAME | write FILE | read FILE | hold MEGABYTES")
	}
	if err := run(os.Args[1], os.Args[2:]); err != nil {
		log.Fatal(err)
	}
}

func run(what string, words []string) error {
	switch {
	case what == "serve" && len(words) == 0:
		return serve()
	case what == "ask" && len(words) == 1:
		return ask(words[0])
	case what == "ask-each" && len(words) == 2:
		count, err := strconv.Atoi(words[0])
		for range count {
			if err == nil {
				err = ask(words[1])
			}
		}
		return err
	case what == "load" && len(words) > 1:
		return load(words[0], words[1:])
	case what == "connect" && len(words) > 0:
		connect(words)
		return nil
	case what == "resolve" && len(words) == 1:
		return resolve(words[0])
	case what == "write" && len(words) == 1:
		return os.WriteFile(words[0], []byte("written\n"), 0o600)
	case what == "read" && len(words) == 1:
		content, err := os.ReadFile(words[0])
		fmt.Print(string(content))
		return err
	case what == "hold" && len(words) == 1:
		return hold(words[0])
	}
	return fmt.Errorf("probe: not understood: %s %v", what, words)
}

func serve() error {
	name, err := os.Hostname()
	if err != nil {
		return err
	}
	http.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, name) })
	http.HandleFunc("GET /busy", func(w http.ResponseWriter, r *http.Request) {
		milliseconds, err := strconv.Atoi(r.FormValue("milliseconds"))
		if err != nil || milliseconds < 0 || time.Duration(milliseconds)*time.Millisecond > busyLimit {
			http.Error(w, "milliseconds: a number within five minutes", http.StatusBadRequest)
			return
		}
		// Answered at once: who asks does not wait for the work.
		go work(time.Duration(milliseconds) * time.Millisecond)
		fmt.Fprintln(w, name)
	})
	server := http.Server{Addr: ":8080", ReadHeaderTimeout: askLimit}
	return server.ListenAndServe()
}

func work(howLong time.Duration) {
	for end := time.Now().Add(howLong); time.Now().Before(end); {
	}
}

func ask(url string) error {
	client := http.Client{Timeout: askLimit, Transport: &http.Transport{DisableKeepAlives: true}}
	answer, err := client.Get(url)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if _, err := io.Copy(os.Stdout, answer.Body); err != nil {
		return err
	}
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", url, answer.Status)
	}
	return nil
}

// connect tries all at once, since a refusal may be silence.
func connect(addresses []string) {
	became := make([]string, len(addresses))
	var trying sync.WaitGroup
	for i, address := range addresses {
		trying.Go(func() {
			connection, err := net.DialTimeout("tcp", address, askLimit)
			if err != nil {
				became[i] = err.Error()
				return
			}
			became[i] = "open"
			_ = connection.Close()
		})
	}
	trying.Wait()
	for i, address := range addresses {
		fmt.Println(address, became[i])
	}
}

func resolve(name string) error {
	wait, done := context.WithTimeout(context.Background(), askLimit)
	defer done()
	addresses, err := net.DefaultResolver.LookupHost(wait, name)
	for _, address := range addresses {
		fmt.Println(address)
	}
	return err
}

func hold(megabytes string) error {
	count, err := strconv.Atoi(megabytes)
	if err != nil {
		return err
	}
	held := make([][]byte, 0, count)
	for range count {
		// Written to, or the kernel would only promise it.
		held = append(held, bytes.Repeat([]byte{1}, 1<<20))
	}
	fmt.Println(len(held), "MB held")
	select {}
}
