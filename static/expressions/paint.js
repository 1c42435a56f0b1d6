/* The coloured copy of a text that lies under a text field of the same shape. User text reaches the page as text only. */

import { expressionsIn } from "./tokens.js";

const MOST = 40_000; // characters; a longer text stays plain

/** Show *text* in *place* with its expressions coloured; *faults* are the ranges `{from, to, isWarning}` to underline. */
export function paint(place, text, isBare, faults = []) {
  const parts = [];
  let at = 0;
  const plain = (to) => to > at && parts.push(...split(text, at, to, "", faults)) && (at = to);
  for (const each of text.length > MOST ? [] : expressionsIn(text, isBare)) {
    plain(each.from);
    const box = document.createElement("span");
    box.className = each.isBare ? "px-bare" : "px-expression";
    at = each.from;
    const piece = (to, name) => {
      box.append(...split(text, at, to, name, faults));
      at = to;
    };
    if (!each.isBare) piece(each.start, "px-brace");
    for (const token of each.tokens) {
      if (token.from > at) piece(token.from, "");
      piece(token.to, `px-${token.role}`);
    }
    if (each.end > at) piece(each.end, "");
    if (each.isClosed && !each.isBare) piece(each.to, "px-brace");
    parts.push(box);
  }
  plain(text.length);
  place.replaceChildren(...parts, "\u200b"); // the last line counts even while it is empty
}

/** The ranges to underline for *problems*, whose `position` and `length` count characters (not code units) from the start;
 * without a length it is the part that begins there. */
export function faultsOf(text, isBare, problems) {
  const letters = problems.length && /[\ud800-\udbff]/.test(text) ? Array.from(text) : null;
  const unit = (count) => Math.min(text.length, letters ? letters.slice(0, count).join("").length : count);
  return problems.map(({ position, length, isWarning }) => {
    if (position < 0) return { from: 0, to: text.length, isWarning }; // all of a bare expression
    const from = unit(position);
    return { from, to: length ? unit(position + length) : endOfPart(text, isBare, from), isWarning };
  });
}

function endOfPart(text, isBare, from) {
  const around = expressionsIn(text, isBare).find((each) => each.from <= from && from < each.to);
  const token = around?.tokens.find((each) => each.from <= from && from < each.to);
  return token?.to ?? (around?.from === from ? around.to : Math.min(from + 1, text.length));
}

function split(text, from, to, name, faults) {
  const cuts = new Set([from, to]);
  for (const fault of faults) {
    if (fault.from > from && fault.from < to) cuts.add(fault.from);
    if (fault.to > from && fault.to < to) cuts.add(fault.to);
  }
  const places = [...cuts].sort((a, b) => a - b);
  return places.slice(1).map((end, index) => {
    const start = places[index];
    const fault = faults.find((each) => each.from <= start && end <= each.to);
    if (!name && !fault) return document.createTextNode(text.slice(start, end));
    const made = document.createElement("span");
    made.className = `${name}${fault ? (fault.isWarning ? " px-fault px-fault--warning" : " px-fault") : ""}`.trim();
    made.textContent = text.slice(start, end);
    return made;
  });
}
