/* Typing into a text field: braces, brackets and quotes close themselves inside expressions, a single line stays one.
   Everything goes through the browser's own editing, so its undo takes each step back. */

import { expressionAt, openBrackets } from "./tokens.js";

const CLOSING = { "(": ")", "[": "]", "{": "}", "'": "'", '"': '"' };
const CLOSERS = new Set(Object.values(CLOSING));

/** Put *text* in the place of the characters from *from* to *to*, and the caret at *caret* or behind it. */
export function replace(field, from, to, text, caret = null) {
  field.focus({ preventScroll: true });
  field.setSelectionRange(from, to);
  const isDone = text ? document.execCommand("insertText", false, text) : from === to || document.execCommand("delete");
  if (!isDone) {
    field.setRangeText(text, from, to, "end");
    field.dispatchEvent(new InputEvent("input", { bubbles: true }));
  }
  if (caret !== null) field.setSelectionRange(caret, caret);
}

/** Insert a name such as `$param.email` at the caret: as it is within an expression, with braces in other text. Anything
 * that is no name is inserted as it is. */
export function insertValue(field, text, isBare) {
  const { selectionStart: from, selectionEnd: to, value } = field;
  const isInside = expressionAt(value, from, isBare) !== null;
  replace(field, from, to, isInside || !text.startsWith("$") ? text : `{{ ${text} }}`);
}

/** Deal with what is about to be typed; true when it was dealt with and the browser has nothing left to do. */
export function typed(field, event, isBare) {
  if (field.selectionStart !== field.selectionEnd) return event.inputType === "insertText" && wrap(field, event.data, isBare);
  if (event.inputType === "insertText" && event.data?.length === 1) return character(field, event.data, isBare);
  return event.inputType === "deleteContentBackward" && erased(field, isBare);
}

function character(field, letter, isBare) {
  const { value, selectionStart: at } = field;
  const [before, after] = [value.slice(0, at), value.slice(at)];
  const inside = expressionAt(value, at, isBare);
  if (letter === "{" && !inside && /(^|[^{])\{$/.test(before) && !/^\s*\}\}/.test(after)) {
    replace(field, at, at, "{  }}", at + 2);
    return true;
  }
  if (letter === "}" && before.endsWith("}") && after.startsWith("}") && !inside) return step(field, at);
  if (!inside) return false;
  if (letter === " " && /\{\{ $/.test(before) && /^ \}\}/.test(after)) return true; // that space is there already
  if (letter === "}" && !inside.isBare && !openBrackets(inside, at).length && /^\s*\}\}/.test(after)) {
    const extra = before.endsWith(" ") ? after.match(/^\s*/)[0].length : 0;
    if (extra) replace(field, at, at + extra, "");
    return step(field, at + after.match(/^\s*/)[0].length - extra);
  }
  return pair(field, letter, before, after, inside);
}

function pair(field, letter, before, after, inside) {
  const at = before.length;
  const within = inside.tokens.find((each) => each.kind === "string" && each.from < at && (at < each.to || each.isOpen));
  const isThere = after.startsWith(letter) && !(letter === "}" && /^\}\}(?!\})/.test(after)); // those end the expression
  if (CLOSERS.has(letter) && isThere && (!within || (within.text[0] === letter && within.to === at + 1))) return step(field, at);
  const isFree = /^([\s)\]},|]|$)/.test(after);
  const isQuote = letter === "'" || letter === '"';
  if (!CLOSING[letter] || within || !isFree || (isQuote && /[\p{L}\p{N}_'"]$/u.test(before))) return false;
  replace(field, at, at, letter + CLOSING[letter], at + 1);
  return true;
}

function wrap(field, letter, isBare) {
  const { value, selectionStart: from, selectionEnd: to } = field;
  if (!CLOSING[letter] || !expressionAt(value, from, isBare)) return false;
  replace(field, from, to, letter + value.slice(from, to) + CLOSING[letter]);
  return true;
}

function erased(field, isBare) {
  const { value, selectionStart: at } = field;
  const [before, after] = [value.slice(0, at), value.slice(at)];
  const opened = before.match(/\{\{ ?$/);
  const closed = after.match(/^ ?\}\}/);
  if (opened && closed) replace(field, at - opened[0].length, at + closed[0].length, "");
  else if (CLOSING[before.at(-1)] && CLOSING[before.at(-1)] === after[0] && expressionAt(value, at, isBare)) replace(field, at - 1, at + 1, "");
  else return false;
  return true;
}

function step(field, at) {
  field.setSelectionRange(at + 1, at + 1);
  return true;
}
