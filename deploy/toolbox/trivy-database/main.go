// A small vulnerability database in the form that Trivy reads, for tests of the gate where the published one cannot
// be had: trivy-database CACHE < advisories.json
//
//	{"debian 13": {"openssl": {"CVE-2026-0001": {"fixed": "3.5.1-1+deb13u1", "severity": "HIGH"}}}}
//
// Platform, source package, advisory; without `fixed` there is no fix yet. CACHE is what trivy takes as --cache-dir.
package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	bolt "go.etcd.io/bbolt"
)

const (
	schemaVersion = 2
	validFor      = 24 * time.Hour
)

var severities = map[string]int{"UNKNOWN": 0, "LOW": 1, "MEDIUM": 2, "HIGH": 3, "CRITICAL": 4}

type advisory struct {
	Fixed    string `json:"fixed"`
	Severity string `json:"severity"`
}

type advisories map[string]map[string]map[string]advisory

func put(bucket *bolt.Bucket, key string, value any) error {
	text, err := json.Marshal(value)
	if err != nil {
		return err
	}
	return bucket.Put([]byte(key), text)
}

func nested(bucket interface {
	CreateBucketIfNotExists([]byte) (*bolt.Bucket, error)
}, names ...string) (*bolt.Bucket, error) {
	var found *bolt.Bucket
	for _, name := range names {
		var err error
		if found, err = bucket.CreateBucketIfNotExists([]byte(name)); err != nil {
			return nil, err
		}
		bucket = found
	}
	return found, nil
}

// An advisory is stored twice: what is fixed where, under its platform; what it is about, under its own name.
func putAdvisory(tx *bolt.Tx, platform, name, identifier string, one advisory) error {
	severity, known := severities[one.Severity]
	if !known {
		return fmt.Errorf("%s: no such severity: %q", identifier, one.Severity)
	}
	of, err := nested(tx, platform, name)
	if err != nil {
		return err
	}
	if err := put(of, identifier, map[string]any{"FixedVersion": one.Fixed}); err != nil {
		return err
	}
	all, err := nested(tx, "vulnerability")
	if err != nil {
		return err
	}
	return put(all, identifier, map[string]any{
		"Title": "planted by a test", "Severity": one.Severity, "VendorSeverity": map[string]int{"nvd": severity},
	})
}

func fill(tx *bolt.Tx, told advisories) (int, error) {
	count := 0
	for platform, packages := range told {
		sources, err := nested(tx, "data-source")
		if err != nil {
			return 0, err
		}
		if err := put(sources, platform, map[string]string{"ID": "debian", "Name": "a test's own"}); err != nil {
			return 0, err
		}
		for name, found := range packages {
			for identifier, one := range found {
				if err := putAdvisory(tx, platform, name, identifier, one); err != nil {
					return 0, err
				}
				count++
			}
		}
	}
	return count, nil
}

func run(cache string, input io.Reader) error {
	told := advisories{}
	decoder := json.NewDecoder(input)
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&told); err != nil {
		return err
	}
	folder := filepath.Join(cache, "db")
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	database, err := bolt.Open(filepath.Join(folder, "trivy.db"), 0o644, nil)
	if err != nil {
		return err
	}
	count := 0
	err = database.Update(func(tx *bolt.Tx) (err error) {
		count, err = fill(tx, told)
		return err
	})
	if err != nil {
		return err
	}
	if err := database.Close(); err != nil {
		return err
	}
	if count == 0 {
		return fmt.Errorf("no advisory")
	}
	now := time.Now().UTC()
	metadata, err := json.Marshal(map[string]any{
		"Version": schemaVersion, "UpdatedAt": now, "DownloadedAt": now, "NextUpdate": now.Add(validFor),
	})
	if err != nil {
		return err
	}
	fmt.Printf("trivy-database: %d advisories\n", count)
	return os.WriteFile(filepath.Join(folder, "metadata.json"), metadata, 0o644)
}

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: trivy-database CACHE < advisories.json")
		os.Exit(2)
	}
	if err := run(os.Args[1], os.Stdin); err != nil {
		fmt.Fprintln(os.Stderr, "trivy-database:", err)
		os.Exit(1)
	}
}
