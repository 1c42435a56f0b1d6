/* What happens to a text while one types: braces, brackets and quotes close themselves inside expressions, and what closed
   itself may be typed all the same. An edit is `{from, to, text, caret}`; null is nothing out of the ordinary. */

import { expressionAt, openBrackets } from "./tokens.js";

const CLOSING = { "(": ")", "[": "]", "{": "}", "'": "'", '"': '"' };
const CLOSERS = new Set(Object.values(CLOSING));

/** The edit for *letter* being typed over the characters from *from* to *to* of *value*. */
export function typed(value, from, to, letter, isBare = false) {
  if (from !== to) return wrapped(value, from, to, letter, isBare);
  const [before, after] = [value.slice(0, from), value.slice(from)];
  const inside = expressionAt(value, from, isBare);
  if (letter === "{" && !inside && /(^|[^{])\{$/.test(before) && !/^\s*\}\}/.test(after)) return put(from, from, "{  }}", from + 2);
  if (letter === "}" && before.endsWith("}") && after.startsWith("}") && !inside) return step(from);
  if (!inside) return null;
  if (letter === " " && /\{\{ $/.test(before) && /^ \}\}/.test(after)) return put(from, from, "", from); // it is there already
  if (letter === "}" && !inside.isBare && !openBrackets(inside, from).length && /^\s*\}\}/.test(after)) {
    const space = after.match(/^\s*/)[0].length;
    return before.endsWith(" ") ? put(from, from + space, "", from + 1) : put(from, from, "", from + space + 1);
  }
  return paired(letter, before, after, inside);
}

/** The edit for the letter before *at* being deleted: what it opened goes with it. */
export function erased(value, at, isBare = false) {
  const [before, after] = [value.slice(0, at), value.slice(at)];
  const opened = before.match(/\{\{ ?$/);
  const closed = after.match(/^ ?\}\}/);
  if (opened && closed) return put(at - opened[0].length, at + closed[0].length, "");
  const isPair = CLOSING[before.at(-1)] && CLOSING[before.at(-1)] === after[0];
  return isPair && expressionAt(value, at, isBare) ? put(at - 1, at + 1, "") : null;
}

/** The edit that inserts a name such as `$param.email`: as it is within an expression, with braces in other text. What is
 * no name is inserted as it is. */
export function inserted(value, from, to, text, isBare = false) {
  const isInside = expressionAt(value, from, isBare) !== null;
  return put(from, to, isInside || !text.startsWith("$") ? text : `{{ ${text} }}`);
}

/** Make an edit in a text field, by way of the browser's own editing, so that its undo takes the step back. */
export function apply(field, { from, to, text, caret }) {
  field.focus({ preventScroll: true });
  field.setSelectionRange(from, to);
  const isDone = text ? document.execCommand("insertText", false, text) : from === to || document.execCommand("delete");
  if (!isDone) {
    field.setRangeText(text, from, to, "end");
    field.dispatchEvent(new InputEvent("input", { bubbles: true }));
  }
  field.setSelectionRange(caret, caret);
}

function paired(letter, before, after, inside) {
  const at = before.length;
  const within = inside.tokens.find((each) => each.kind === "string" && each.from < at && (at < each.to || each.isOpen));
  // a brace is missing where the two that ended the expression are taken for others
  const isThere = after.startsWith(letter) && (letter !== "}" || inside.isClosed);
  if (CLOSERS.has(letter) && isThere && (!within || (within.text[0] === letter && within.to === at + 1))) return step(at);
  const isFree = /^([\s)\]},|]|$)/.test(after);
  const isQuote = letter === "'" || letter === '"';
  if (!CLOSING[letter] || within || !isFree || (isQuote && /[\p{L}\p{N}_'"]$/u.test(before))) return null;
  return put(at, at, letter + CLOSING[letter], at + 1);
}

function wrapped(value, from, to, letter, isBare) {
  return CLOSING[letter] && expressionAt(value, from, isBare) ? put(from, to, letter + value.slice(from, to) + CLOSING[letter]) : null;
}

const put = (from, to, text, caret = from + text.length) => ({ from, to, text, caret });
const step = (at) => put(at, at, "", at + 1);
