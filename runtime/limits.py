"""Every limit in one place; messages and tests read them from here."""

PAYLOAD_BYTES = 1_000_000  # one event's payload as JSON
PAYLOAD_DEPTH = 64
PAYLOAD_KEYS = 20_000  # of all objects in a payload together
BATCH_EVENTS = 1_000  # one CloudEvents batch
DOCUMENT_BYTES = 5_000_000
FLOW_NODES = 2_000
FLOW_EDGES = 8_000
PORT_CHARS = 200  # NOTE: nodes/switch.py makes ports of its cases
NAME_CHARS = 200
LARGEST_NUMBER = 2**63 - 1  # of a run or a message; SQLite holds no larger one
OUTPUT_BYTES = 1_000_000  # one step's output as JSON

EXPRESSION_CHARS = 4_096
EXPRESSIONS_IN_TEXT = 500
EXPRESSIONS_IN_FLOW = 5_000
EXPRESSION_TOKENS_IN_FLOW = 100_000  # names, signs and values of all its expressions: reading them takes the time
EXPRESSION_NODES = 400
EXPRESSION_NODES_IN_PLACE = 10_000  # of all expressions of a step; with more it goes to the evaluator process
EXPRESSION_DEPTH = 50
EXPRESSION_RESULT_DEPTH = 100
EXPRESSION_ITEMS = 10_000  # a range, or a list made by repeating or batching
EXPRESSION_TEXT = 1_000_000  # characters of a text that an expression makes
EXPRESSION_WORK = 400_000  # steps of one evaluation: an item looked at, or 16 characters
EXPRESSION_WORK_IN_PLACE = 20_000  # steps; what takes more is evaluated anew in the evaluator process
EXPRESSION_S = 1.0  # of computing time in the evaluator process
EXPRESSION_WALL_S = 1.9  # until the evaluator process is killed, also on a machine that gives it no time
EXPRESSION_MEMORY_BYTES = 192 * 1024 * 1024  # that an evaluation may ask for beyond what the process has
EXPRESSION_SCOPE_BYTES = 32_000_000  # of the values that are handed to the evaluator process, as JSON
EXPRESSION_PROCESSES = 2
PREVIEW_TEXT_BYTES = 100_000  # of what is evaluated on trial
PREVIEW_VALUES_BYTES = 3_000_000  # as JSON
EXPRESSION_STOPS = 10  # evaluations of one run that took too much; then the run ends

HTTP_RESPONSE_BYTES = 5_000_000  # after decompression
HTTP_TIMEOUT_S = 120

EVENT_DEPTH = 16  # flows starting flows
SAME_FLOW_IN_PATH = 3
QUEUE_RUNS = 20_000  # open runs before new events are answered 503
STEPS_AT_ONCE = 64  # waiting for the outside world, per engine

ATTEMPTS = 10
RETRY_DELAY_S = 3_600
STEP_TIMEOUT_S = 86_400
RUN_TIMEOUT_S = 400 * 86_400
DELAY_S = 366 * 86_400  # the longest delay, or time-out of what a run waits for
LOOP_ITEMS = 100_000  # of one for_each
LOOP_PARALLEL = 50
LOOP_ROUNDS = 10_000  # of one while_loop
RUN_STEPS = 500_000  # of one run, all loops together

ROOT_RUNS = 1_000  # that one cause may lead to
BREAKER_RUNS = 600  # of one flow, started by other runs within BREAKER_S: it is paused
BREAKER_S = 60
LOOP_STOPS = 10  # chains of one flow that were stopped within BREAKER_S: it is paused
HELD_RUNS = 100_000  # queued for one flow that is paused or limited
COMMENT_CHARS = 2_000  # of who approves or rejects
PLACES = 100_000  # open runs of a flow with a key and no limit of its own
KEY_CHARS = 500  # of a run's key; a longer one is kept as its digest
RETRIES = 1_000  # runs that are retried with one request
CRASHES = 3  # engines that one run may stop before it is given up

WEBHOOK_BYTES = 10_000_000  # the body of one request
WEBHOOK_PAYLOAD_BYTES = 15_000_000  # its payload as JSON: room for such a body in Base64
WEBHOOK_HEADER_BYTES = 32_000
WEBHOOK_FIELDS = 1_000  # of a form or a query
WEBHOOKS_HELD_BYTES = 80_000_000  # bodies that are being read, all requests together
WEBHOOK_CALLERS = 2_000  # who wait for a flow's answer at once
RESPONSE_WAIT_S = 60  # how long a webhook's caller waits for the flow's answer
LOOP_OUTPUT_BYTES = 10_000_000  # of all rounds together; larger ones are not kept in the loop's output
LOOP_ERRORS = 1_000  # of the items that failed, told one by one
