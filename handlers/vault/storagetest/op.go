package storagetest

import (
	"encoding/json"
	"net/http"
	"net/url"
	"regexp"
	"strings"
)

// The services of a storage account, as an Op names them.
const (
	Blob  = "blob"
	Queue = "queue"
	Table = "table"
)

// An Op is one request to a storage account, in the words of the REST reference.
type Op struct {
	Service   string // Blob, Queue or Table
	Verb      string // "Put Block List", "Entity Group Transaction"; an unknown one is the HTTP method
	Container string // container, queue or table; empty for an operation on the service
	Name      string // the blob's name; an entity's "<partition key>/<row key>"; a transaction's partition key
	Write     bool   // it changes something, or would; taking messages from a queue does not count
	N         int    // a write's number in its proxy, from 1; 0 for what is no write
	Parts     []Op   // of a transaction: its operations in order
}

// A call is what of an HTTP request says which operation it is.
type call struct {
	method string
	path   string // unescaped, "/account/container/blob"
	query  url.Values
	header http.Header
	body   []byte // of the Table service only
}

// classify names the operation; N stays 0.
func classify(service string, c call) Op {
	_, rest, _ := strings.Cut(strings.TrimPrefix(c.path, "/"), "/") // without the account
	op := Op{Service: service}
	switch service {
	case Blob:
		op.Container, op.Name, _ = strings.Cut(rest, "/")
		op.Verb = blobVerb(c, op.Container, op.Name)
	case Queue:
		op.Container, op.Name, _ = strings.Cut(rest, "/")
		op.Verb = queueVerb(c, op.Container, op.Name)
	case Table:
		classifyTable(&op, c, rest)
	}
	reads := c.method == http.MethodGet || c.method == http.MethodHead || c.method == http.MethodOptions ||
		op.Verb == "Query Blob Contents" || op.Verb == "Get User Delegation Key"
	op.Write = !reads
	return op
}

// A verbKey is a method and the value of the parameter comp.
type verbKey struct{ method, comp string }

func blobVerb(c call, container, name string) string {
	k := verbKey{c.method, c.query.Get("comp")}
	switch {
	case name != "":
		return verbOf(k, map[verbKey]string{
			{"GET", ""}: "Get Blob", {"HEAD", ""}: "Get Blob Properties", {"DELETE", ""}: "Delete Blob",
			{"PUT", ""}: putBlobVerb(c.header), {"PUT", "block"}: "Put Block", {"PUT", "blocklist"}: "Put Block List",
			{"GET", "blocklist"}: "Get Block List", {"PUT", "appendblock"}: "Append Block", {"PUT", "page"}: "Put Page",
			{"PUT", "metadata"}: "Set Blob Metadata", {"GET", "metadata"}: "Get Blob Metadata",
			{"HEAD", "metadata"}: "Get Blob Metadata", {"PUT", "properties"}: "Set Blob Properties",
			{"PUT", "snapshot"}: "Snapshot Blob", {"PUT", "undelete"}: "Undelete Blob", {"PUT", "lease"}: "Lease Blob",
			{"PUT", "tier"}: "Set Blob Tier", {"PUT", "tags"}: "Set Blob Tags", {"GET", "tags"}: "Get Blob Tags",
			{"PUT", "copy"}: "Abort Copy Blob", {"PUT", "expiry"}: "Set Blob Expiry", {"POST", "query"}: "Query Blob Contents",
			{"PUT", "incrementalcopy"}: "Incremental Copy Blob", {"PUT", "seal"}: "Append Blob Seal",
		})
	case container != "":
		return verbOf(k, map[verbKey]string{
			{"PUT", ""}: "Create Container", {"GET", ""}: "Get Container Properties", {"HEAD", ""}: "Get Container Properties",
			{"DELETE", ""}: "Delete Container", {"GET", "list"}: "List Blobs", {"PUT", "metadata"}: "Set Container Metadata",
			{"GET", "acl"}: "Get Container ACL", {"PUT", "acl"}: "Set Container ACL", {"PUT", "lease"}: "Lease Container",
			{"POST", "batch"}: "Blob Batch", {"GET", "blobs"}: "Find Blobs by Tags in Container",
		})
	}
	return verbOf(k, map[verbKey]string{
		{"GET", "list"}: "List Containers", {"GET", "properties"}: serviceGet(c, "Blob"),
		{"PUT", "properties"}: "Set Blob Service Properties", {"GET", "stats"}: "Get Blob Service Stats",
		{"POST", "userdelegationkey"}: "Get User Delegation Key", {"GET", "blobs"}: "Find Blobs by Tags",
		{"POST", "batch"}: "Blob Batch",
	})
}

// putBlobVerb tells apart what creates a blob in one request.
func putBlobVerb(h http.Header) string {
	typed, copied := h.Get("x-ms-blob-type") != "", h.Get("x-ms-copy-source") != ""
	switch {
	case typed && copied:
		return "Put Blob From URL"
	case copied && h.Get("x-ms-requires-sync") == "true":
		return "Copy Blob From URL"
	case copied:
		return "Copy Blob"
	}
	return "Put Blob"
}

func serviceGet(c call, service string) string {
	if c.query.Get("restype") == "account" {
		return "Get Account Information"
	}
	return "Get " + service + " Service Properties"
}

func queueVerb(c call, queue, rest string) string {
	k := verbKey{c.method, c.query.Get("comp")}
	switch {
	case rest == "messages":
		if c.query.Get("peekonly") == "true" {
			return "Peek Messages"
		}
		return verbOf(k, map[verbKey]string{
			{"POST", ""}: "Put Message", {"GET", ""}: "Get Messages", {"DELETE", ""}: "Clear Messages",
		})
	case rest != "":
		return verbOf(k, map[verbKey]string{{"DELETE", ""}: "Delete Message", {"PUT", ""}: "Update Message"})
	case queue != "":
		return verbOf(k, map[verbKey]string{
			{"PUT", ""}: "Create Queue", {"DELETE", ""}: "Delete Queue", {"GET", "metadata"}: "Get Queue Metadata",
			{"HEAD", "metadata"}: "Get Queue Metadata", {"PUT", "metadata"}: "Set Queue Metadata",
			{"GET", "acl"}: "Get Queue ACL", {"PUT", "acl"}: "Set Queue ACL",
		})
	}
	return verbOf(k, map[verbKey]string{
		{"GET", "list"}: "List Queues", {"GET", "properties"}: serviceGet(c, "Queue"),
		{"PUT", "properties"}: "Set Queue Service Properties", {"GET", "stats"}: "Get Queue Service Stats",
	})
}

func verbOf(k verbKey, verbs map[verbKey]string) string {
	if v, ok := verbs[k]; ok {
		return v
	}
	return k.method
}

var (
	entityPath = regexp.MustCompile(`^(\w+)\(PartitionKey='(.*)',\s*RowKey='(.*)'\)$`)
	tablesPath = regexp.MustCompile(`^Tables\('(\w+)'\)$`)
)

// classifyTable fills in the operation on the path below the account.
func classifyTable(op *Op, c call, rest string) {
	entity, deleted := entityPath.FindStringSubmatch(rest), tablesPath.FindStringSubmatch(rest)
	switch {
	case rest == "$batch":
		op.Verb, op.Parts = "Entity Group Transaction", readTransaction(c.header, c.body)
		if len(op.Parts) > 0 {
			op.Container = op.Parts[0].Container
			op.Name, _, _ = strings.Cut(op.Parts[0].Name, "/")
		}
	case rest == "Tables" || rest == "Tables()":
		op.Verb = verbOf(verbKey{c.method, ""}, map[verbKey]string{{"POST", ""}: "Create Table", {"GET", ""}: "Query Tables"})
		op.Container = stringOf(c.body, "TableName")
	case deleted != nil:
		op.Verb, op.Container = verbOf(verbKey{c.method, ""}, map[verbKey]string{{"DELETE", ""}: "Delete Table"}), deleted[1]
	case entity != nil:
		op.Container = entity[1]
		op.Name = strings.ReplaceAll(entity[2], "''", "'") + "/" + strings.ReplaceAll(entity[3], "''", "'")
		op.Verb = entityVerb(c)
	default:
		op.Container = strings.TrimSuffix(rest, "()")
		op.Verb = verbOf(verbKey{c.method, c.query.Get("comp")}, map[verbKey]string{
			{"POST", ""}: "Insert Entity", {"GET", ""}: "Query Entities", {"GET", "acl"}: "Get Table ACL",
			{"PUT", "acl"}: "Set Table ACL", {"GET", "properties"}: "Get Table Service Properties",
			{"PUT", "properties"}: "Set Table Service Properties", {"GET", "stats"}: "Get Table Service Stats",
		})
		if op.Verb == "Insert Entity" {
			op.Name = stringOf(c.body, "PartitionKey") + "/" + stringOf(c.body, "RowKey")
		}
	}
}

// entityVerb tells the updates of one entity apart: without If-Match an update is an upsert.
func entityVerb(c call) string {
	method := c.method
	if m := c.header.Get("X-HTTP-Method"); method == http.MethodPost && m != "" {
		method = m
	}
	upsert := c.header.Get("If-Match") == ""
	switch method {
	case http.MethodGet:
		return "Get Entity"
	case http.MethodDelete:
		return "Delete Entity"
	case http.MethodPut:
		if upsert {
			return "Insert Or Replace Entity"
		}
		return "Update Entity"
	case http.MethodPatch, "MERGE":
		if upsert {
			return "Insert Or Merge Entity"
		}
		return "Merge Entity"
	}
	return method
}

// stringOf is a string property of a JSON object, empty where there is none.
func stringOf(body []byte, key string) string {
	var object map[string]json.RawMessage
	var s string
	if json.Unmarshal(body, &object) != nil || json.Unmarshal(object[key], &s) != nil {
		return ""
	}
	return s
}
