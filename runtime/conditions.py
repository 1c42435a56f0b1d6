"""What a right asks beyond the role: reasons that lie in what a call is about; and how the audit log names that.

A condition refuses, or narrows the arguments, so that what was looked at is what the call acts on.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from backend.errors import BackendError
from backend.operator_values import outranks
from nodes.emit_event import RESERVED
from runtime.errors import Forbidden, Problem, RuntimeFault
from runtime.webhooks import PREFIX

if TYPE_CHECKING:
    from runtime.actors import Actor
    from runtime.service import Service

OWNERS_NODES = "“{name}” acts with an owner's rights: {nodes}. Ask an owner to {verb} it."


def may_publish(service: Service, actor: Actor, arguments: dict[str, Any]) -> None:
    """A flow that acts with an owner's rights is published by owners."""
    if not actor.may("owner"):
        view = service.flows.get(arguments["flow_id"])
        _require_plain(service, view.draft, "publish")
        # what was looked at; somebody who knows an older draft is refused by the call
        arguments["if_match"] = min(view.revision, arguments.get("if_match") or view.revision)


def may_resume(service: Service, actor: Actor, arguments: dict[str, Any]) -> None:
    """What needs an owner to publish needs one to bring it back to life."""
    if not actor.may("owner"):
        _require_plain(service, _live_document(service, arguments["flow_id"]), "resume")


def may_start(service: Service, actor: Actor, arguments: dict[str, Any]) -> None:
    """A run with a payload of one's own choice needs the rights that the flow acts with."""
    if not actor.may("owner"):
        _require_plain(service, _live_document(service, arguments["flow_id"]), "start")


def may_test(service: Service, actor: Actor, arguments: dict[str, Any]) -> None:
    """A test needs the rights that the flow acts with: simulated steps read too."""
    if not actor.may("owner"):
        flow = arguments["flow"]
        document = service.flows.get(flow).draft if isinstance(flow, str) else flow
        _require_plain(service, document, "test")
        arguments["flow"] = document


def may_retry(service: Service, actor: Actor, arguments: dict[str, Any]) -> None:
    """Repeating a run acts again: what it would run on is looked at, each run's for itself."""
    if not actor.may("owner"):
        arguments["allow"] = lambda document: _require_plain(service, document, "repeat")


def may_resolve(service: Service, actor: Actor, arguments: dict[str, Any]) -> None:
    """A run that goes on acts."""
    if not actor.may("owner"):
        _require_plain(service, service.runs.get(arguments["run_id"]).document, "continue")


def as_oneself(_service: Service, actor: Actor, arguments: dict[str, Any]) -> None:
    """What somebody decides is decided in their name."""
    arguments["by"] = actor.name


def may_report(_service: Service, actor: Actor, arguments: dict[str, Any]) -> None:
    """Events that the platform reports start flows that trust them; nobody below an owner may make them up.

    Requests to a webhook are made up by nobody: their address has a login of its own.
    """
    reserved = (PREFIX,) if actor.may("owner") else RESERVED
    made_up = [event.name for event in arguments["events"] if str(event.name).startswith(reserved)]
    if made_up:
        message = f"“{made_up[0][:80]}” is an event that Pulsewire itself reports. Choose a name of your own."
        raise Forbidden(Problem("event.reserved", message))


def without_secrets(_service: Service, actor: Actor, arguments: dict[str, Any]) -> None:
    """Messages that carry a live link are for owners."""
    if not actor.may("owner"):
        arguments["with_secret"] = False


def may_read_message(service: Service, actor: Actor, arguments: dict[str, Any]) -> None:
    """Refuse a message that carries a live link to everyone but owners."""
    if not actor.may("owner") and service.mailbox.get(arguments["message_id"]).has_secret:
        message = "This message carries a link that works like a password. Only owners may read it."
        raise Forbidden(Problem("message.secret", message))


def names_only(_service: Service, actor: Actor, arguments: dict[str, Any]) -> None:
    """What a credential is made of and where it goes is for owners; who draws flows knows its name."""
    if not actor.may("owner"):
        arguments["names_only"] = True


def may_grant(_service: Service, actor: Actor, arguments: dict[str, Any]) -> None:
    """Nobody gives a role above their own; a role that is not named is the highest."""
    role = arguments.get("role", "owner")
    if isinstance(role, str) and outranks(role, actor.role):
        raise Forbidden(Problem("right.above", f"You cannot give the role “{role}”: yours is “{actor.role}”."))


def is_own(_service: Service, actor: Actor, arguments: dict[str, Any]) -> None:
    """Refuse to everyone but the operator whom it is about."""
    if actor.kind != "operator" or actor.id != arguments["operator_id"]:
        raise Forbidden(Problem("right.not_own", "Only they themselves can change this."))


def flow_name(_service: Service, flow: Any) -> str:
    """Return the id of a flow, given by id or as a document."""
    if isinstance(flow, str):
        return flow
    graph = flow.get("graph") if isinstance(flow, Mapping) else None
    return str(graph.get("id", "")) if isinstance(graph, Mapping) else ""


def table_name(service: Service, table: Any) -> str:
    """Return what people call a table, given by id or name."""
    with suppress(BackendError):
        return service.tables.get(table).name
    return str(table)


def user_email(service: Service, user: Any) -> str:
    """Return the address of a user, given by id or address."""
    with suppress(BackendError):
        return service.users.get(user).email
    return str(user)


def role_name(service: Service, role: Any) -> str:
    """Return the name of a role that users have, given by id or name."""
    with suppress(BackendError):
        return service.roles.get(role).name
    return str(role)


def key_name(service: Service, key_id: Any) -> str:
    """Return the name of an API key."""
    return next((key.name for key in service.keys.list() if key.id == key_id), str(key_id))


def credential_name(service: Service, credential: Any) -> str:
    """Return the name of a credential, given by id or name."""
    return service.credentials.get(credential).name


def operator_email(service: Service, operator_id: Any) -> str:
    """Return the address of an operator."""
    with suppress(BackendError):
        return service.operators.get(operator_id).email
    return str(operator_id)


def owners_nodes(types: Mapping[str, Any], document: Mapping[str, Any] | None) -> list[str]:
    """Return the names of the nodes that act with an owner's rights; a node of no known type may do anything.

    What a trigger of owners waits for is theirs as well where a flow waits for it by the event's name.
    """
    nodes = document.get("nodes") if isinstance(document, Mapping) else None
    events = {_awaited(each, {}) for each in types.values() if each.right == "owner"} - {None}
    return [
        str(node.get("name") or node.get("id") or node.get("type"))
        for node in (nodes if isinstance(nodes, list) else [])
        if isinstance(node, Mapping) and _is_owners(types.get(str(node.get("type"))), node.get("params"), events)
    ]


def _is_owners(declared: Any, params: Any, events: Collection[str | None]) -> bool:
    return getattr(declared, "right", "owner") == "owner" or _awaited(declared, params) in events


def _awaited(declared: Any, params: Any) -> str | None:
    """Return the event that a trigger with these parameters waits for, None for what is no trigger, or unfinished."""
    if declared.listen is None:
        return None
    with suppress(ValueError):  # such a flow is neither published nor tested
        event: str | None = declared.listen(declared.params.model_validate(params or {})).event
        return event
    return None


def _live_document(service: Service, flow_id: str) -> Mapping[str, Any] | None:
    view = service.flows.get(flow_id)
    with suppress(RuntimeFault):  # then the call itself says that there is no live version
        return service.flows.version(flow_id, view.published_version or 0)
    return None


def _require_plain(service: Service, document: Mapping[str, Any] | None, verb: str) -> None:
    if not (found := owners_nodes(service.types, document)):
        return
    graph = (document or {}).get("graph")
    name = graph.get("name") if isinstance(graph, Mapping) else None
    nodes = ", ".join(f"“{node[:60]}”" for node in found[:3]) + (" …" if len(found) > 3 else "")
    message = OWNERS_NODES.format(name=str(name or "This flow")[:80], nodes=nodes, verb=verb)
    raise Forbidden(Problem("right.owners_nodes", message))
