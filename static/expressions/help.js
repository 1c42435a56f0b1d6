/* The help of a filter or test: beside the suggestions, and as a card over a word of a field. */

import { wordOf } from "./knowledge.js";

const SHOWN = 80;
let card = null;

/** What a word of the language does, as an element. */
export function helpOf(word) {
  const made = document.createElement("div");
  made.className = "px-help-body";
  const add = (tag, name, text) => {
    const part = document.createElement(tag);
    part.className = name;
    part.textContent = text;
    made.append(part);
    return part;
  };
  add("div", "px-help-signature", `${word.kind === "test" ? "is " : "| "}${word.signature}`);
  add("div", "px-help-kinds", kinds(word));
  add("div", "px-help-summary", "").append(...marked(word.summary));
  for (const { text, value } of word.examples) {
    add("code", "px-help-example", text);
    add("code", "px-help-value", cut(JSON.stringify(value)));
  }
  return made;
}

/** Show the help of the filter or test that *token* is, below *rect*; *field* is described by it meanwhile. */
export function showHelp(token, rect, field) {
  const word = wordOf(token.role, token.text);
  hideHelp();
  if (!word) return;
  card = document.createElement("div");
  card.className = "px-card";
  card.id = "px-card";
  card.setAttribute("role", "tooltip");
  card.append(helpOf(word));
  document.body.append(card);
  const left = Math.max(8, Math.min(rect.left, innerWidth - card.offsetWidth - 8));
  const isAbove = rect.bottom + card.offsetHeight + 14 > innerHeight;
  card.style.left = `${left}px`;
  card.style.top = `${Math.max(8, isAbove ? rect.top - card.offsetHeight - 6 : rect.bottom + 6)}px`;
  card.owner = field;
}

/** Take the card away; true if there was one. */
export function hideHelp(field = null) {
  if (!card || (field && card.owner !== field)) return false;
  card.remove();
  card = null;
  return true;
}

/** A sentence with `*settings*` and `` `code` `` in it as nodes. */
function marked(text) {
  return text.split(/(\*[^*]+\*|`+[^`]+`+)/).map((part) => {
    if (!/^[*`]/.test(part)) return part;
    const made = document.createElement(part[0] === "*" ? "em" : "code");
    made.textContent = part.replace(/^[*`]+|[*`]+$/g, "");
    return made;
  });
}

function kinds({ kind, takes, gives }) {
  const taken = takes.includes("any") ? "any value" : takes.join(" or ");
  return kind === "test" ? `for ${taken}` : `${taken} → ${gives === "any" ? "any value" : gives}`;
}

const cut = (text) => (text.length > SHOWN ? `${text.slice(0, SHOWN - 1)}…` : text);
