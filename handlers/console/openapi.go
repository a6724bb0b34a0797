package console

import _ "embed" // the document

// openAPIDocument tells programs of the API (OpenAPI 3.1).
//
//go:embed openapi.json
var openAPIDocument []byte

// openAPI: GET /openapi.json.
func (c *Console) openAPI(*request) (reply, error) { return reply{data: openAPIDocument}, nil }
