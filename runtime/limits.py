"""Every limit in one place; messages and tests read them from here."""

PAYLOAD_BYTES = 1_000_000  # one event's payload as JSON
PAYLOAD_DEPTH = 64
PAYLOAD_KEYS = 20_000  # of all objects in a payload together
BATCH_EVENTS = 1_000  # one CloudEvents batch
DOCUMENT_BYTES = 5_000_000
FLOW_NODES = 2_000
FLOW_EDGES = 8_000
NAME_CHARS = 200
LARGEST_NUMBER = 2**63 - 1  # of a run or a message; SQLite holds no larger one
OUTPUT_BYTES = 1_000_000  # one step's output as JSON

EXPRESSION_CHARS = 4_096
EXPRESSIONS_IN_TEXT = 500
EXPRESSIONS_IN_FLOW = 5_000
EXPRESSION_NODES = 400
EXPRESSION_DEPTH = 50
EXPRESSION_ITEMS = 10_000  # a range, or a list made by repeating or batching
EXPRESSION_TEXT = 1_000_000  # characters of a text that an expression makes
EXPRESSION_WORK = 400_000  # steps of one evaluation: an item looked at, or 16 characters

HTTP_RESPONSE_BYTES = 5_000_000  # after decompression
HTTP_TIMEOUT_S = 120

EVENT_DEPTH = 16  # flows starting flows
SAME_FLOW_IN_PATH = 3
QUEUE_RUNS = 20_000  # open runs before new events are answered 503
STEPS_AT_ONCE = 64  # waiting for the outside world, per engine

ATTEMPTS = 10
RETRY_DELAY_S = 3_600
