"""Flows that the checker has something to say about, with what it says, and flows that are right."""

from __future__ import annotations

from typing import Any

Json = Any


def fields(**values: Json) -> dict[str, Json]:
    return {"type": "set_fields", "params": {"fields": values}}


def mail(**params: Json) -> dict[str, Json]:
    return {"type": "send_email", "params": {"to": "ops@example.com", "subject": "Hello", **params}}


def http(**more: Json) -> dict[str, Json]:
    return {"type": "http_request", "params": {"url": "https://example.com"}, **more}


HOOK = {"type": "on_webhook", "params": {"path": "a"}}
LOOP = {"type": "for_each", "params": {"items": "{{ $action.users.users }}"}}
FLOWS: dict[str, tuple[dict[str, Json], str, list[tuple[str, str, str]]]] = {
    "a node beside this one": (
        {"t": "manual", "a": fields(x=1), "n": fields(x="{{ $action.a.x }}")},
        "t>a t>n",
        [("expression.node_not_before", "n", "fields")],
    ),
    "a node after this one": (
        {"t": "manual", "a": fields(x=1), "n": fields(x="{{ $action.a.x }}")},
        "t>n n>a",
        [("expression.node_not_before", "n", "fields")],
    ),
    "a node of the other branch": (
        {
            "t": HOOK,
            "c": {"type": "condition", "params": {"if": "{{ $param.body.x }}"}},
            "a": fields(x=1),
            "n": fields(x="{{ $action.a.x }}"),
        },
        "t>c c.true>a c.false>n",
        [("expression.node_not_before", "n", "fields")],
    ),
    "a node that this one comes behind, only when it was skipped": (
        {
            "t": HOOK,
            "c": {"type": "condition", "params": {"if": "{{ $param.body.x }}"}},
            "a": http(on_error="port"),
            "b": fields(),
            "n": fields(x="{{ $action.b.x }}"),
            "m": fields(x="{{ $action.n.x }}"),
        },
        "t>c c.true>a a>b b>n a.error>n n>m",
        [("expression.field_unknown", "n", "fields"), ("expression.output_maybe_missing", "n", "fields")],
    ),
    "an item after the loop": (
        {"t": HOOK, "users": "find_users", "l": LOOP, "a": fields(x="{{ $item.email }}"), "n": fields(x="{{ $item }}")},
        "t>users users>l l.each>a l.done>n",
        [("expression.item_outside", "n", "fields")],
    ),
    "a node inside of the loop, after it": (
        {
            "t": HOOK,
            "users": "find_users",
            "l": LOOP,
            "a": fields(x="{{ $item.emial }}"),
            "n": fields(x="{{ $action.a.x }}"),
        },
        "t>users users>l l.each>a l.done>n",
        [("expression.field_unknown", "a", "fields"), ("expression.node_not_before", "n", "fields")],
    ),
    "the loop, inside of it": (
        {"t": HOOK, "users": "find_users", "l": LOOP, "a": fields(x="{{ $action.l.count }}")},
        "t>users users>l l.each>a",
        [("expression.node_not_before", "a", "fields")],
    ),
    "a field of one trigger's payload": (
        {"t": "auth.user_signedUp", "u": "api.dataTable_created", "n": fields(x="{{ $param.email }}")},
        "t>n u>n",
        [("expression.field_maybe_missing", "n", "fields")],
    ),
    "a field of no trigger's payload": (
        {"t": "auth.user_signedUp", "u": "api.dataTable_created", "n": fields(x="{{ $param.mail }}")},
        "t>n u>n",
        [("expression.field_unknown", "n", "fields")],
    ),
    "a token when the password was set": (
        {"t": {"type": "auth.password_reset", "params": {"phase": "completed"}}, "n": fields(x="{{ $param.token }}")},
        "t>n",
        [("expression.field_unknown", "n", "fields")],
    ),
    "an input that may be left out": (
        {
            "t": {"type": "manual", "params": {"inputs": {"a": "text", "b": "text?"}}},
            "n": fields(x="{{ $param.a ~ $param.b }}"),
        },
        "t>n",
        [("expression.field_maybe_missing", "n", "fields")],
    ),
    "the row before a new one": (
        {"t": "api.dataTable_rowCreated", "n": fields(x="{{ $param.before.total }}")},
        "t>n",
        [("expression.field_unknown", "n", "fields")],
    ),
    "a filter of an event that has no such field": (
        {
            "t": {"type": "event", "params": {"event": "auth.user_signedUp", "filter": "$param.emial == 'a'"}},
            "n": "find_users",
        },
        "t>n",
        [("expression.field_unknown", "t", "filter")],
    ),
    "a filter that reads an output": (
        {"t": {"type": "event", "params": {"event": "x.y", "filter": "{{ $action.n.count > 3 }}"}}, "n": "find_users"},
        "t>n",
        [("expression.node_not_before", "t", "filter")],
    ),
    "text where a number is needed": (
        {"t": "auth.user_signedUp", "n": {"type": "find_users", "params": {"limit": "{{ $param.email }}"}}},
        "t>n",
        [("param.type", "n", "limit")],
    ),
    "spaces around an expression where a number is needed": (
        {"t": HOOK, "n": {"type": "find_users", "params": {"limit": " {{ $param.body.limit }}"}}},
        "t>n",
        [("param.type", "n", "limit")],
    ),
    "a list of objects for an address": (
        {"t": HOOK, "u": "find_users", "n": mail(to="{{ $action.u.users }}")},
        "t>u u>n",
        [("param.type", "n", "to")],
    ),
    "a list for one address": (
        {"t": "auth.user_signedUp", "n": mail(reply_to="{{ $param.roles }}")},
        "t>n",
        [("param.type", "n", "reply_to")],
    ),
    "a number as a header": (
        {
            "t": HOOK,
            "u": "find_users",
            "n": {
                "type": "http_request",
                "params": {"url": "https://a.example", "headers": {"x-n": "{{ $action.u.count }}"}},
            },
        },
        "t>u u>n",
        [("param.type", "n", "headers")],
    ),
    "text where a condition is needed": (
        {"t": "auth.user_signedUp", "n": {"type": "condition", "params": {"if": "{{ $param.email }}"}}},
        "t>n",
        [("param.type", "n", "if")],
    ),
    "one word where one of a few is needed": (
        {
            "t": HOOK,
            "n": {
                "type": "http_request",
                "params": {"url": "https://a.example", "method": "{{ 'get' if $param.body else 'post' }}"},
            },
        },
        "t>n",
        [("param.type", "n", "method")],
    ),
    "a condition that is always true": (
        {"t": "auth.user_signedUp", "n": {"type": "condition", "params": {"if": "{{ $param.email is defined }}"}}},
        "t>n",
        [("expression.always", "n", "if")],
    ),
    "a condition that is written out": (
        {"t": HOOK, "n": {"type": "condition", "params": {"if": True}}},
        "t>n",
        [("expression.always", "n", "if")],
    ),
    "a condition that is always false, told once": (
        {"t": "auth.user_signedUp", "n": {"type": "condition", "params": {"if": "{{ $param.email == 3 }}"}}},
        "t>n",
        [("expression.always", "n", "if")],
    ),
    "a column that a table does not have": (
        {"t": HOOK, "n": {"type": "insert_row", "params": {"table": "orders", "values": {"totl": 3, "total": 1}}}},
        "t>n",
        [("param.column_unknown", "n", "values")],
    ),
    "a condition over a column that a table does not have": (
        {
            "t": HOOK,
            "n": {
                "type": "find_rows",
                "params": {"table": "orders", "where": {"or": [{"total": 1}, {"totl": {"gt": 2}}]}},
            },
        },
        "t>n",
        [("param.column_unknown", "n", "where")],
    ),
    "a case that never comes": (
        {
            "t": "auth.user_signedUp",
            "n": {"type": "switch", "params": {"value": "{{ $param.emailVerified }}", "cases": ["true", "yes"]}},
        },
        "t>n",
        [("switch.case_never", "n", "cases")],
    ),
}

RIGHT_FLOWS: dict[str, tuple[dict[str, Json], str]] = {
    "branches that join": (
        {"t": "manual", "a": fields(x=1), "b": fields(x=2), "n": fields(x="{{ $action.a.x + $action.b.x }}")},
        "t>a t>b a>n b>n",
    ),
    "the way of the port that was taken": (
        {
            "t": HOOK,
            "h": http(on_error="port"),
            "a": fields(x="{{ $action.h.status }}"),
            "b": fields(x="{{ $action.h.message }}"),
        },
        "t>h h>a h.error>b",
    ),
    "what a condition has looked at": (
        {
            "t": HOOK,
            "h": http(on_error="continue"),
            "c": {"type": "condition", "params": {"if": "{{ $action.h is not none }}"}},
            "n": fields(x="{{ $action.h.status }}"),
        },
        "t>h h>c c.true>n",
    ),
    "what a condition has looked at, on its other side": (
        {
            "t": HOOK,
            "h": http(on_error="continue"),
            "c": {"type": "condition", "params": {"if": "{{ $action.h is none or $param.body.x }}"}},
            "n": fields(x="{{ $action.h.status }}"),
        },
        "t>h h>c c.false>n",
    ),
    "an item of rows": (
        {
            "t": HOOK,
            "f": {"type": "find_rows", "params": {"table": "orders"}},
            "l": {"type": "for_each", "params": {"items": "{{ $action.f.rows }}"}},
            "n": fields(x="{{ $item.total }} {{ $index + 1 }} {{ $action.f.count }}"),
        },
        "t>f f>l l.each>n",
    ),
    "a loop in a loop": (
        {
            "t": HOOK,
            "l": {"type": "for_each", "params": {"items": [[1], [2]]}},
            "m": {"type": "for_each", "params": {"items": "{{ $item }}"}},
            "a": fields(x="{{ $index }}"),
            "n": fields(x="{{ $item + $action.a.x }}"),
        },
        "t>l l.each>a a>m m.each>n",
    ),
    "a while loop that reads its body": (
        {
            "t": HOOK,
            "l": {"type": "while_loop", "params": {"while": "{{ $index == 0 or $item.next is not none }}"}},
            "h": http(),
            "a": fields(next="{{ $action.h.body.next }}"),
        },
        "t>l l.each>h h>a",
    ),
    "a condition of a wait": (
        {
            "t": HOOK,
            "w": {"type": "wait_for_event", "params": {"event": "a.b", "condition": "$item.total > $param.body.total"}},
            "n": fields(x="{{ $action.w.payload.total }}"),
        },
        "t>w w>n",
    ),
    "two triggers with the same field": (
        {"t": "auth.user_signedUp", "u": "auth.user_loggedIn", "n": mail(to="{{ $param.email }}")},
        "t>n u>n",
    ),
    "an address or a list of them": (
        {
            "t": "auth.user_signedUp",
            "u": "find_users",
            "n": mail(to="{{ $action.u.users | map(attribute='email') | list }}", cc="{{ $param.email }}"),
        },
        "t>u u>n",
    ),
    "a column in a condition": (
        {
            "t": HOOK,
            "n": {
                "type": "find_rows",
                "params": {
                    "table": "orders",
                    "where": {"and": [{"total": {"gt": "{{ $param.body.n }}"}}, {"id": "x"}]},
                },
            },
        },
        "t>n",
    ),
    "a table that nobody knows yet": (
        {"t": HOOK, "n": {"type": "insert_row", "params": {"table": "{{ $param.body.table }}", "values": {"any": 1}}}},
        "t>n",
    ),
    "cases that come": (
        {
            "t": "auth.user_signedUp",
            "n": {"type": "switch", "params": {"value": "{{ $param.emailVerified }}", "cases": ["true", "false"]}},
        },
        "t>n",
    ),
    "a node that no trigger reaches yet": (
        {"t": HOOK, "n": fields(x="{{ $param.anything }}"), "m": fields(x="{{ $action.n.x }}")},
        "n>m",
    ),
    "the answer of another flow": (
        {"t": HOOK, "r": {"type": "run_flow", "params": {"flow": "x"}}, "n": fields(x="{{ $action.r.output.a.b }}")},
        "t>r r>n",
    ),
}
