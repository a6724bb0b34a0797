// Package ledger keeps the state of every collection in Table storage: which source has retrieved up to where, which
// batches, lanes and chunks exist and how far they are, who is monitored, and which items stand in the exceptions.
//
// Everything of a source lies in one partition of one table, so that any change of several rows is one transaction.
// Row keys, with the batch's id and five-digit lane numbers:
//
//	source                      the ingestion state, whether the source is enabled
//	head                        the end of the chain of manifests
//	batch:<batch>               a batch: period, status, snapshot of its custodians, manifest
//	open:<batch>                exists while the batch's manifest is not published: the index of unfinished work
//	lane:<lane>                 what the lane works on, and who holds it until when
//	chunk:<batch>:<lane>        how far the chunk is; absent while it has never been started
//	person:<key>                an individual: intervals of monitoring, object id, lane, reason of an exclusion
//	exception:<custodian>:<item> an item that was found and is still to be had
//	event:<custodian>:<item>    the version of a calendar event that was captured last
//	gap:<key>:<batch>           time that an individual is owed, left open by that batch, or by none (none:<period>)
//
// Batches pass their states in one order alone; what is not drawn here is refused:
//
//	Created ──▶ Retrieving ◀──▶ PendingRetry
//	   │             │               │
//	   └─────────────┴───────────────┴──▶ Completed | CompletedWithDocumentLevelErrors | CompletedWithErrors | Abandoned   (final)
//
// The final state is set together with the place in the chain of manifests. A batch without custodians, or one that was split off,
// has no chunks and goes from Created to its end. What a final batch leaves undone is a gap, whose supplement is a batch of its own:
// no batch is ever opened again. The states of chunks, gaps and exceptions are drawn at [Chunk], [Gap] and [Exception].
//
// Every change names the ETag that it was decided on. A change whose answer was lost and that the SDK sent again
// conflicts with itself; each written row therefore carries the nonce of its change, and a conflict is settled by
// reading back.
package ledger

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"unicode/utf8"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/data/aztables"
)

// A Row is a value of the ledger with the version that was read.
type Row[T any] struct {
	Value T
	etag  azcore.ETag
}

// Exists reports whether the row was read from the table; a zero Row was not.
func (r Row[T]) Exists() bool { return r.etag != "" }

func get[T any](ctx context.Context, l *Ledger, partition, key string) (Row[T], error) {
	var r Row[T]
	resp, err := l.table.GetEntity(ctx, partition, key, nil)
	if err != nil {
		err = wrap("get row", err)
		var e *Error
		if errors.As(err, &e) && e.absent() {
			return r, ErrNotFound
		}
		return r, err
	}
	return decode[T](resp.Value)
}

// find is get, with a zero row for one that does not exist.
func find[T any](ctx context.Context, l *Ledger, partition, key string) (Row[T], error) {
	r, err := get[T](ctx, l, partition, key)
	if errors.Is(err, ErrNotFound) {
		return Row[T]{}, nil
	}
	return r, err
}

// values are what stands in rows.
func values[T any](rows []Row[T]) []T {
	var all []T
	for _, r := range rows {
		all = append(all, r.Value)
	}
	return all
}

// list reads the rows whose keys begin with prefix, in the order of their keys.
func list[T any](ctx context.Context, l *Ledger, partition, prefix string) ([]Row[T], error) {
	// A prefix ends in ':' or '-'; the next character in the order of keys ends the range.
	last := prefix[len(prefix)-1]
	end := prefix[:len(prefix)-1] + string(last+1)
	return query[T](ctx, l, fmt.Sprintf("PartitionKey eq '%s' and RowKey ge '%s' and RowKey lt '%s'", partition, prefix, end))
}

// query reads the rows that a filter lets through, in the order of their keys.
func query[T any](ctx context.Context, l *Ledger, filter string) ([]Row[T], error) {
	var rows []Row[T]
	pages := l.table.NewListEntitiesPager(&aztables.ListEntitiesOptions{Filter: &filter})
	for pages.More() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, wrap("list rows", err)
		}
		for _, e := range page.Entities {
			r, err := decode[T](e)
			if err != nil {
				return nil, err
			}
			rows = append(rows, r)
		}
	}
	return rows, nil
}

func decode[T any](entity []byte) (Row[T], error) {
	var r Row[T]
	var meta struct {
		ETag azcore.ETag `json:"odata.etag"`
	}
	entity, err := join(entity)
	if err == nil {
		err = json.Unmarshal(entity, &meta)
	}
	if err == nil {
		err = json.Unmarshal(entity, &r.Value)
	}
	if err != nil {
		return r, unreadable(err)
	}
	r.etag = meta.ETag
	return r, nil
}

// unreadable says of a row why it cannot be read. It quotes nothing: the JSON's error may hold what stands there, and in an
// individual's row that is a person.
func unreadable(err error) error {
	var field *json.UnmarshalTypeError
	if errors.As(err, &field) {
		return fmt.Errorf("read row: property %s is not a %s", field.Field, field.Type)
	}
	return fmt.Errorf("read row: it is not as this app writes it (%T)", err)
}

// A change is one row of a transaction.
type change struct {
	key    string
	value  any // nil: delete
	etag   azcore.ETag
	insert bool
}

func insert(key string, value any) change { return change{key: key, value: value, insert: true} }

func replace[T any](key string, r Row[T]) change {
	if !r.Exists() {
		return insert(key, r.Value)
	}
	return change{key: key, value: r.Value, etag: r.etag}
}

func remove(key string) change { return change{key: key, etag: azcore.ETagAny} }

// commit makes all changes or none. ErrConflict means that none was made because a row was not as expected.
func (l *Ledger) commit(ctx context.Context, partition string, changes ...change) error {
	nonce := rand.Text()
	actions := make([]aztables.TransactionAction, len(changes))
	for i, c := range changes {
		entity, err := encode(partition, c, nonce)
		if err != nil {
			return err
		}
		actions[i] = aztables.TransactionAction{ActionType: aztables.TransactionTypeUpdateReplace, Entity: entity}
		switch {
		case c.insert:
			actions[i].ActionType = aztables.TransactionTypeAdd
		case c.value == nil:
			actions[i].ActionType = aztables.TransactionTypeDelete
			actions[i].IfMatch = &changes[i].etag
		default:
			actions[i].IfMatch = &changes[i].etag // without it the update would be an upsert
		}
	}
	_, err := l.table.SubmitTransaction(ctx, actions, nil)
	if err == nil {
		return nil
	}
	err = wrap("change rows", err)
	var e *Error
	if !errors.As(err, &e) || !e.conflicts() {
		return err
	}
	return l.settle(ctx, partition, changes, nonce)
}

// settle decides a conflict: if a row carries our nonce it was our own change that an earlier try had made.
func (l *Ledger) settle(ctx context.Context, partition string, changes []change, nonce string) error {
	for _, c := range changes {
		if c.value == nil {
			continue
		}
		r, err := get[struct{ Nonce string }](ctx, l, partition, c.key)
		switch {
		case errors.Is(err, ErrNotFound):
		case err != nil:
			return err
		case r.Value.Nonce == nonce:
			return nil // transactions are atomic: one row tells for all, also when a rival has changed another since
		}
	}
	return ErrConflict
}

func encode(partition string, c change, nonce string) ([]byte, error) {
	entity := map[string]any{}
	if c.value != nil {
		b, err := json.Marshal(c.value)
		if err == nil {
			err = json.Unmarshal(b, &entity)
		}
		if err != nil {
			return nil, fmt.Errorf("write row: %w", err)
		}
	}
	split(entity)
	entity["PartitionKey"], entity["RowKey"], entity["Nonce"] = partition, c.key, nonce
	return json.Marshal(entity)
}

// maxText is how many bytes of UTF-8 one text property is given. The service takes 32,768 UTF-16 characters (Microsoft
// Learn, "Understanding the Table service data model"), and no text has more of those than bytes.
const maxText = 32 << 10

// split cuts texts that are too long for a property into several, Lanes, Lanes_2, Lanes_3 and so on. The limit is then
// that of the whole entity, 1 MiB: some 80,000 lanes or 5,000 intervals of monitoring.
func split(entity map[string]any) {
	for name, v := range entity {
		text, _ := v.(string)
		if len(text) <= maxText {
			continue
		}
		for n := 1; text != ""; n++ {
			end := min(maxText, len(text))
			for end < len(text) && !utf8.RuneStart(text[end]) {
				end--
			}
			entity[piece(name, n)], text = text[:end], text[end:]
		}
	}
}

// join puts together what split has cut.
func join(entity []byte) ([]byte, error) {
	if len(entity) <= maxText {
		return entity, nil
	}
	var whole map[string]any
	if err := json.Unmarshal(entity, &whole); err != nil {
		return nil, err
	}
	for name, v := range whole {
		text, _ := v.(string)
		for n := 2; ; n++ {
			more, ok := whole[piece(name, n)].(string)
			if !ok {
				break
			}
			text += more
			whole[name] = text
		}
	}
	return json.Marshal(whole)
}

// piece is the name of a text's nth property.
func piece(name string, n int) string {
	if n == 1 {
		return name
	}
	return fmt.Sprintf("%s_%d", name, n)
}

// Packed keeps a list or a structure as JSON text, as Table storage has no property for them.
type Packed[T any] struct{ V T }

// MarshalJSON writes the value as JSON text.
func (p Packed[T]) MarshalJSON() ([]byte, error) {
	b, err := json.Marshal(p.V)
	if err != nil {
		return nil, err
	}
	return json.Marshal(string(b))
}

// UnmarshalJSON reads what MarshalJSON writes.
func (p *Packed[T]) UnmarshalJSON(b []byte) error {
	var text string
	if err := json.Unmarshal(b, &text); err != nil {
		return err
	}
	return json.Unmarshal([]byte(text), &p.V)
}
