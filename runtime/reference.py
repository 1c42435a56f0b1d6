"""The reference page of the node types, written from their declarations: ``python -m runtime.reference``."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from itertools import groupby
from pathlib import Path

from nodes.spec import Json, NodeType, load
from runtime import check_reference, filter_reference

PAGE = Path(__file__).parent.parent / "docs" / "nodes.md"
HEAD = """# Node reference

Written from the declarations in `nodes/` by `python -m runtime.reference`; change those, then run it again.
Every parameter takes a value or an expression `{{ … }}`, except those marked *fixed*. The value of one marked *secret*
is masked wherever a run is shown. Examples show evaluated parameters and are tests.
"""
FACT = re.compile(r"^(Out|Units|Effect|Errors|Source) {2,}(.*(?:\n {8}.*)*)", re.MULTILINE)


def page(types: Mapping[str, NodeType]) -> str:
    """Return the whole page as Markdown, a section for each category."""
    lines = [HEAD]
    for category, members in groupby(types.values(), key=lambda node: node.category):
        lines.append(f"## {category}\n")
        lines += [_section(node) for node in members]
    return "\n".join(lines)


def _section(node: NodeType) -> str:
    text = FACT.sub("", node.doc).strip()
    facts = [f"- **{name}**: {_joined(value)}" for name, value in FACT.findall(node.doc) if value.strip() != "none"]
    facts += [*_ports(node), *_right(node), *_presets(node)]
    parts = [f"### {node.title}\n", f"`{node.type}`\n", f"{text}\n", "\n".join(facts) + "\n"]
    parts += [*_params(node), *_sample(node), *_examples(node)]
    return "\n".join(parts)


def _joined(text: str) -> str:
    return re.sub(r"\s*\n\s*", " ", text).replace("``", "`")


def _ports(node: NodeType) -> list[str]:
    names = [port.name for port in node.ports({})]
    return [f"- **Ports**: {', '.join(f'`{name}`' for name in names)}"] if names != ["out"] and names else []


def _right(node: NodeType) -> list[str]:
    return ["- **Right**: an owner has to publish the flow, or test it"] if node.right == "owner" else []


def _presets(node: NodeType) -> list[str]:
    entries = (f"*{preset.title}* ({_code_line(preset.params)})" for preset in node.presets)
    return [f"- **In the palette**: {', '.join(entries)}"] if node.presets else []


def _code_line(params: Mapping[str, Json]) -> str:
    return ", ".join(f"`{name}`: `{json.dumps(value)}`" for name, value in params.items())


def _params(node: NodeType) -> list[str]:
    schema = node.params.model_json_schema()
    if not schema.get("properties"):
        return []
    required = schema.get("required", [])
    rows = [_param(name, field, name in required) for name, field in schema["properties"].items()]
    return ["| parameter | title | holds | default | |", "|---|---|---|---|---|", *rows, ""]


def _param(name: str, field: Mapping[str, Json], is_required: bool) -> str:
    default = "required" if is_required else f"`{json.dumps(field['default'])}`"
    text = field["description"] + (" *Fixed.*" if field.get("literal") else "")
    text += " *Secret.*" if field.get("secret") else ""
    cells = (f"`{name}`", field["title"], _holds(field), default, text)
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _holds(field: Mapping[str, Json]) -> str:
    if "anyOf" in field:
        return " or ".join(dict.fromkeys(_holds(part) for part in field["anyOf"]))
    if "enum" in field:
        return ", ".join(f"`{value}`" for value in field["enum"])
    kinds = {"string": "text", "array": "list", "boolean": "true or false", "integer": "whole number"}
    name = str(field.get("type", "anything"))
    kind = kinds.get(name, name)
    limits = _limits(field)
    return f"{kind}, {limits}" if limits else kind


def _limits(field: Mapping[str, Json]) -> str:
    if "exclusiveMinimum" in field:
        return f"more than {field['exclusiveMinimum']}, at most {field.get('maximum', '…')}"
    if "minimum" in field or "maximum" in field:
        return f"{field.get('minimum', '…')} to {field.get('maximum', '…')}"
    if "maxLength" in field:
        return f"at most {field['maxLength']:,} characters"
    return f"at most {field['maxItems']}" if "maxItems" in field else ""


def _sample(node: NodeType) -> list[str]:
    return ["Sample payload:\n", _code(node.sample)] if node.sample else []


def _examples(node: NodeType) -> Iterable[str]:
    for example in node.examples:
        gives = f"error `{example.error}`" if example.error else f"port `{example.port}`"
        shown = {"params": example.params} | ({} if example.error else {"output": example.output})
        yield f"Example, {example.title}: {gives}\n"
        yield _code(shown)


def _code(value: Json) -> str:
    return f"```json\n{json.dumps(value, ensure_ascii=False, indent=2)}\n```\n"


def main() -> None:
    """Write the page, the reference of filters, and what the checker tells."""
    PAGE.write_text(page(load()), encoding="utf-8")
    check_reference.main()
    filter_reference.main()


if __name__ == "__main__":
    main()
