package graph

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"

	abstractions "github.com/microsoft/kiota-abstractions-go"
	kjson "github.com/microsoft/kiota-serialization-json-go"
	core "github.com/microsoftgraph/msgraph-sdk-go-core"
)

// maxBatch is the largest $batch (Microsoft Graph, "Combine multiple HTTP requests using JSON batching").
const maxBatch = 20

// askAll sends asks in as few $batch requests as they fit in. Each ask ends with an answer or an err; the returned error is
// that of a batch as a whole. A batch takes all of the mailbox's slots, for Graph works on four of its requests at a time.
func (c *Client) askAll(ctx context.Context, mailbox string, asks []*ask) error {
	for chunk := range slices.Chunk(asks, maxBatch) {
		cl := call{op: "send batch", mailbox: mailbox, slots: mailboxSlots, requests: len(chunk)}
		var reply batchReply
		err := c.do(ctx, cl, func(ctx context.Context) (err error) {
			reply, err = c.sendBatch(ctx, chunk)
			return err
		})
		if err != nil {
			return err
		}
		c.settle(ctx, mailbox, chunk, reply)
	}
	return nil
}

// batchReply is the answer to a $batch. QUIRK: the SDK's own model of it is not used, because one body that is no object,
// such as a gateway's page, makes it refuse them all, and it loses the status of a failed request.
type batchReply struct {
	Responses []struct {
		ID      string                     `json:"id"`
		Status  int                        `json:"status"`
		Headers map[string]json.RawMessage `json:"headers"`
		Body    json.RawMessage            `json:"body"`
	} `json:"responses"`
}

func (c *Client) sendBatch(ctx context.Context, asks []*ask) (batchReply, error) {
	info, err := c.batchInfo(ctx, asks)
	if err != nil {
		return batchReply{}, &Error{Meaning: Bad, Code: "UnsendableRequest", err: err}
	}
	var body []byte
	option := abstractions.NewRequestHandlerOption()
	option.SetResponseHandler(func(resp any, _ abstractions.ErrorMappings) (_ any, err error) {
		body, err = io.ReadAll(resp.(*http.Response).Body)
		return nil, err
	})
	info.AddRequestOptions([]abstractions.RequestOption{option})
	if _, err := c.adapter.Send(ctx, info, core.CreateBatchResponseDiscriminator, nil); err != nil {
		return batchReply{}, err
	}
	var reply batchReply
	if err := json.Unmarshal(body, &reply); err != nil {
		return batchReply{}, &Error{Status: http.StatusOK, Meaning: Broken, Code: "UnreadableAnswer", err: err}
	}
	return reply, nil
}

// batchInfo makes the request of a $batch. Its requests carry their place as id.
func (c *Client) batchInfo(ctx context.Context, asks []*ask) (*abstractions.RequestInformation, error) {
	batch := core.NewBatchRequest(c.adapter)
	for i, a := range asks {
		one, err := a.info(ctx)
		if err != nil {
			return nil, err
		}
		item, err := batch.AddBatchRequestStep(*one)
		if err != nil {
			return nil, err
		}
		id, address := strconv.Itoa(i), strings.ReplaceAll(*item.GetUrl(), "%24", "$") // no middleware sees these
		item.SetId(&id)
		item.SetUrl(&address)
	}
	info := abstractions.NewRequestInformation()
	info.Method = abstractions.POST
	info.UrlTemplate = "{+baseurl}/$batch"
	info.Headers.Add("Accept", "application/json")
	return info, info.SetContentFromParsable(ctx, c.adapter, "application/json", batch)
}

// settle gives each ask its part of the reply. What the batch left out can be asked for again.
func (c *Client) settle(ctx context.Context, mailbox string, asks []*ask, reply batchReply) {
	for _, a := range asks {
		a.answer, a.err = nil, &Error{Op: a.op, Meaning: Transient, Code: "MissingAnswer"}
	}
	for _, r := range reply.Responses {
		i, err := strconv.Atoi(r.ID)
		if err != nil || i < 0 || i >= len(asks) {
			continue
		}
		a := asks[i]
		if r.Status == http.StatusOK {
			a.read(r.Body)
			continue
		}
		header := http.Header{}
		for key, value := range r.Headers {
			header.Set(key, string(bytes.Trim(value, `"`)))
		}
		a.err = classify(r.Status, header, r.Body, c.clock.Now())
		a.err.Op = a.op
		if a.err.Meaning == Throttled {
			c.fence(ctx, mailbox, a.err, 1)
		}
	}
}

// read reads the body of one answer into the ask's model.
func (a *ask) read(body []byte) {
	a.err = &Error{Op: a.op, Status: http.StatusOK, Meaning: Broken, Code: "UnreadableAnswer"}
	defer func() { _ = recover() }() // the SDK panics on answers of an unexpected shape; err is set
	if !bytes.HasPrefix(body, []byte("{")) {
		return // a string, most likely, with what is no JSON; the SDK would take it for an empty object
	}
	node, err := kjson.NewJsonParseNode(body)
	if err != nil {
		a.err.err = err
		return
	}
	answer, err := node.GetObjectValue(a.model)
	if err != nil || answer == nil {
		a.err.err = err
		return
	}
	a.answer, a.err = answer, nil
}

// passing reports whether an ask that a batch left without answer is worth being sent by itself. That holds for one whose
// answer could not be read, too: what cut it off cannot be told from within a batch.
func (a *ask) passing() bool {
	return a.err != nil && (a.err.Meaning == Throttled || a.err.Meaning == Transient || a.err.Meaning == Moving || a.err.Code == "UnreadableAnswer")
}
