// Command database makes a Trivy vulnerability database of fixtures: database FOLDER FILE.yaml...
//
// The fixtures are those of Trivy's own integration tests, loaded as they load them.
package main

import (
	"fmt"
	"os"
	"path/filepath"
	"time"

	fixtures "github.com/aquasecurity/bolt-fixtures"
	"github.com/aquasecurity/trivy-db/pkg/db"
	"github.com/aquasecurity/trivy-db/pkg/metadata"
)

func main() {
	if len(os.Args) < 3 {
		fmt.Fprintln(os.Stderr, "usage: database FOLDER FILE.yaml...")
		os.Exit(2)
	}
	if err := write(os.Args[1], os.Args[2:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func write(folder string, files []string) error {
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return err
	}
	loader, err := fixtures.New(filepath.Join(folder, "trivy.db"), files)
	if err != nil {
		return err
	}
	if err = loader.Load(); err != nil {
		return err
	}
	if err = loader.Close(); err != nil {
		return err
	}
	now := time.Now().UTC()
	return metadata.NewClient(folder).Update(metadata.Metadata{
		Version:      db.SchemaVersion,
		UpdatedAt:    now.Add(-time.Hour),
		NextUpdate:   now.Add(24 * time.Hour),
		DownloadedAt: now,
	})
}
