package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"
)

const (
	loadLimit     = 10 * time.Second // a request that is answered later is lost
	idlePerServer = 8
	causesKept    = 20
)

// target is one URL and what became of the requests to it.
type target struct {
	URL    string   `json:"url"`
	Sent   int      `json:"sent"`
	Lost   int      `json:"lost"`
	Causes []string `json:"causes"`
	status int
	lock   sync.Mutex
}

func (t *target) ended(cause string) {
	t.lock.Lock()
	defer t.lock.Unlock()
	t.Sent++
	if cause == "" {
		return
	}
	t.Lost++
	if len(t.Causes) < causesKept {
		t.Causes = append(t.Causes, time.Now().UTC().Format("15:04:05.000 ")+cause)
	}
}

func load(rateWord string, words []string) error {
	rate, err := strconv.ParseFloat(rateWord, 64)
	if err != nil || rate <= 0 {
		return fmt.Errorf("load: not a rate: %s", rateWord)
	}
	targets := make([]*target, 0, len(words))
	for _, word := range words {
		status, url, found := strings.Cut(word, "=")
		number, err := strconv.Atoi(status)
		if !found || err != nil {
			return fmt.Errorf("load: STATUS=URL, not %s", word)
		}
		targets = append(targets, &target{URL: url, status: number, Causes: []string{}})
	}
	input := bufio.NewReader(os.Stdin)
	token, err := input.ReadString('\n')
	if err != nil {
		return fmt.Errorf("load: no token, and no empty line: %w", err)
	}
	stop := make(chan struct{})
	go func() {
		_, _ = input.ReadString('\n')
		close(stop)
	}()
	send(targets, strings.TrimSpace(token), time.Duration(float64(time.Second)/rate), stop)
	return json.NewEncoder(os.Stdout).Encode(targets)
}

// send keeps its pace whether or not earlier requests have been answered, and waits for the last of them.
func send(targets []*target, token string, pause time.Duration, stop <-chan struct{}) {
	fresh := &http.Client{Timeout: loadLimit, Transport: &http.Transport{DisableKeepAlives: true}}
	kept := &http.Client{Timeout: loadLimit, Transport: &http.Transport{MaxIdleConnsPerHost: idlePerServer}}
	var flying sync.WaitGroup
	defer flying.Wait()
	ticks := time.NewTicker(pause)
	defer ticks.Stop()
	for count := 0; ; count++ {
		select {
		case <-stop:
			return
		case <-ticks.C:
		}
		client := fresh
		if count%2 == 1 {
			client = kept
		}
		for _, to := range targets {
			flying.Go(func() { to.ended(request(client, to, token)) })
		}
	}
}

// request returns why it was lost, or nothing.
func request(client *http.Client, to *target, token string) string {
	question, err := http.NewRequest(http.MethodGet, to.URL, nil)
	if err != nil {
		return err.Error()
	}
	if token != "" {
		question.Header.Set("Authorization", "Bearer "+token)
	}
	answer, err := client.Do(question)
	if err != nil {
		return err.Error()
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		return err.Error()
	}
	if answer.StatusCode != to.status {
		return fmt.Sprintf("%s %.200s", answer.Status, body)
	}
	return ""
}
