package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"strings"

	"chainmail/handlers/vault"
	"chainmail/infra/evidence/store"

	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
)

// where says where evidence lies.
type where struct {
	place      string // a folder, a container's address, or with a connection string a container's name
	connection string // connection string of the storage account; ""
}

const addressForm = "https://ACCOUNT.blob.core.windows.net/CONTAINER"

var containerName = regexp.MustCompile(`^[a-z0-9](-?[a-z0-9]){2,62}$`)

// open finds the evidence. A container is asked for nothing yet.
func (w where) open() (s store.Store, closeIt func(), err error) {
	switch {
	case w.connection != "":
		s, err = w.byConnection()
	case strings.HasPrefix(w.place, "https://"):
		s, err = w.bySignIn()
	case strings.Contains(w.place, "://"):
		return nil, nil, refuse("a container's address begins with https://; for Azurite give the container's name, and " +
			"the connection string by -connection-string-env")
	default:
		folder, err := w.folder()
		if err != nil {
			return nil, nil, err
		}
		return folder, func() { _ = folder.Close() }, nil
	}
	return s, func() {}, err
}

func (w where) folder() (*store.Folder, error) {
	info, err := os.Stat(w.place)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, refuse("there is no folder %s: copy the container there, or give its address, %s", w.place, addressForm)
	case err != nil:
		return nil, refusal{err}
	case !info.IsDir():
		return nil, refuse("%s is a file: give the folder that the container was copied to", w.place)
	}
	folder, err := store.OpenFolder(w.place)
	if err != nil {
		return nil, refusal{err}
	}
	return folder, nil
}

func (w where) byConnection() (store.Store, error) {
	if !containerName.MatchString(w.place) {
		return nil, refuse("with -connection-string-env the evidence is given by its container's name, such as evidence")
	}
	v, err := vault.Open(vault.Account{ConnectionString: w.connection})
	if err != nil {
		return nil, refusal{err}
	}
	return store.OpenContainer(v.Container(w.place)), nil
}

func (w where) bySignIn() (store.Store, error) {
	u, err := url.Parse(w.place)
	if err != nil || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return nil, refuse("the container's address must be %s alone: a signature is a secret, and belongs into a connection "+
			"string (-connection-string-env)", addressForm)
	}
	name := strings.Trim(u.Path, "/")
	if !containerName.MatchString(name) {
		return nil, refuse("the container's address must end in its name, %s", addressForm)
	}
	credential, err := azidentity.NewDefaultAzureCredential(nil)
	if err != nil {
		return nil, refuse("no way to sign in: run az login, or set AZURE_TENANT_ID, AZURE_CLIENT_ID and AZURE_CLIENT_SECRET")
	}
	v, err := vault.Open(vault.Account{BlobServiceURL: "https://" + u.Host, Credential: credential})
	if err != nil {
		return nil, refusal{err}
	}
	return store.OpenContainer(v.Container(name)), nil
}

// unlisted says what to do about evidence that could not be listed.
func (w where) unlisted(ctx context.Context, err error) error {
	switch {
	case ctx.Err() != nil:
		return err
	case errors.Is(err, store.ErrNoEvidence):
		return refuse("%s: %w: it must hold SOURCE/BATCH/manifest.json, as a container of evidence does", w.place, err)
	}
	err = fmt.Errorf("%s cannot be listed: %w", w.place, err)
	if todo := remedy(err); todo != "" {
		err = fmt.Errorf("%w: %s", err, todo)
	}
	return refusal{err}
}

// remedy says what to do about a store that could not be listed.
func remedy(err error) string {
	var e *vault.Error
	var path *fs.PathError
	switch {
	case errors.As(err, &path):
		return "make it readable for yourself"
	case !errors.As(err, &e):
		return ""
	case errors.Is(err, vault.ErrNotFound):
		return "there is no such container in this account"
	case e.Status == http.StatusForbidden || e.Status == http.StatusUnauthorized:
		return "whoever signs in needs the role Storage Blob Data Reader, and the account's network rules must let this machine in"
	case e.Status == 0:
		return "check the address, and sign in: az login, or AZURE_TENANT_ID, AZURE_CLIENT_ID and AZURE_CLIENT_SECRET"
	}
	return "try again"
}
