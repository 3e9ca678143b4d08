"""The keys of the state of a request: its id, its outcome, and the name and the scopes of its API key."""

REQUEST_ID = "request_id"
OUTCOME = "outcome"
KEY = "key"
SCOPES = "scopes"
