/* What can stand at a place of an expression. All of it is computed in the browser, from what the page was told once for
   the selected node; a keystroke never waits for the server. */

import * as knowledge from "./knowledge.js";
import { chainBefore, fieldsOf, kindBefore, memberText, valueAt } from "./paths.js";
import { expressionAt } from "./tokens.js";

const MOST = 120;
const DEPTH = 4;
const OPERATORS = [
  ["and", "both hold"], ["or", "one of them holds"], ["not", "does not hold"], ["in", "is one of"], ["is", "a test follows"],
  ["if", "value if condition else value"], ["else", "otherwise"],
];
const GROUPS = { text: "Text", number: "Numbers", list: "Lists", object: "Objects" };
const CONSTANTS = ["true", "false", "none"];
const ROOTS = { action: "outputs of earlier nodes", param: "the payload", var: "variables", env: "the environment", flow: "this flow", run: "this run", now: "start of the run" };
const OPENED = new Set(["action", "param", "var", "env", "flow", "run"]); // one goes on into these

/** The suggestions for the place *at*: `{from, to, options}`, or null. An option has `label`, `text` to insert, `kind`, and
 * maybe `sample`, `said`, `word` (a filter or test), `caret` (from the end of the text) and `goesOn`. */
export function complete(text, at, isBare = false, isAsked = false) {
  const expression = expressionAt(text, at, isBare);
  if (!expression) return null;
  const tokens = expression.tokens.filter((each) => each.to <= at || each.from < at);
  const inside = expression.tokens.find((each) => each.kind === "string" && each.from < at && (at < each.to || each.isOpen));
  if (inside) return quoted(expression, inside, at);
  const current = tokens.at(-1)?.to >= at && ["word", "root"].includes(tokens.at(-1).kind) ? tokens.pop() : null;
  const typed = current ? text.slice(current.from, at) : "";
  const place = { from: current?.from ?? at, to: current?.to ?? at };
  const found = optionsAfter(tokens, typed, isAsked, place);
  const options = ranked(found, typed);
  return options.length && !(options.length === 1 && options[0].text === typed) ? { ...place, options } : null;
}

function optionsAfter(tokens, typed, isAsked, place) {
  const previous = tokens.at(-1);
  const word = previous?.text;
  if (word === "|") return filters(kindBefore(tokens.slice(0, -1)));
  if (previous?.role === "keyword" && word === "is") return [...tests(), { label: "not", text: "not", kind: "keyword" }];
  if (word === "not" && tokens.at(-2)?.text === "is") return tests();
  if (word === ".") return members(tokens.slice(0, -1), previous, place);
  if (word === "[" && chainBefore(tokens.slice(0, -1))) return keys(valueAt(chainBefore(tokens.slice(0, -1))), true);
  if (previous?.kind === "number" && !typed) return [];
  const isAfterValue = previous && (["root", "key", "number", "string", "constant", "filter", "test", "word"].includes(previous.role) || ")]}".includes(word));
  if (isAfterValue) return typed || isAsked ? OPERATORS.map(([label, said]) => ({ label, text: label, kind: "keyword", said })) : [];
  return values(typed);
}

function values(typed) {
  const scope = Object.entries(knowledge.scope()).filter(([name, value]) => value.f || !["env", "var"].includes(name));
  const depth = typed === "" || typed === "$" ? 1 : DEPTH;
  const paths = scope.flatMap(([name, value]) => {
    const root = { ...optionOf(`$${name}`, `$${name}`, { ...value, d: ROOTS[name] ?? value.d }), ...(OPENED.has(name) ? { text: `$${name}.`, goesOn: true } : {}) };
    return [root, ...(name === "param" || depth > 1 ? within(`$${name}`, value, depth) : [])];
  });
  const words = typed && !typed.startsWith("$") ? [...CONSTANTS, "not"].map((label) => ({ label, text: label, kind: "keyword" })) : [];
  return [...paths, ...words];
}

function* within(path, value, depth) {
  for (const [name, inner] of depth ? fieldsOf(value) : []) {
    const text = memberText(path, name);
    yield optionOf(text, text, inner);
    yield* within(text, inner, depth - 1);
  }
}

function members(tokens, dot, place) {
  const chain = chainBefore(tokens);
  const value = chain && valueAt(chain);
  return !value ? [] : [...fieldsOf(value)].map(([name, inner]) => {
    const isPlain = memberText("", name).startsWith(".");
    const goesOn = chain.length === 1 && chain[0] === "action" && { goesOn: true };
    const text = isPlain ? name : memberText("", name);
    return { ...optionOf(name, goesOn ? `${text}.` : text, inner), ...goesOn, ...(isPlain ? {} : { from: dot.from, to: place.to }) };
  });
}

function keys(value, isQuoted) {
  return [...fieldsOf(value)].map(([name, inner]) => optionOf(name, isQuoted ? `'${name.replace(/[\\']/g, "\\$&")}'` : name, inner));
}

/** Within quotes: a key of what stands before `[`, or a field of a list's items after `attribute=`. */
function quoted(expression, inside, at) {
  const before = expression.tokens.filter((each) => each.to <= inside.from);
  const place = { from: inside.from + 1, to: inside.isOpen ? at : inside.to - 1 };
  const typed = inside.text.slice(1, at - inside.from);
  const found = before.at(-1)?.text === "[" ? keys(valueAt(chainBefore(before.slice(0, -1))), false) : itemKeys(before);
  const options = ranked(found, typed);
  return options.length && !(options.length === 1 && options[0].text === typed) ? { ...place, options } : null;
}

function itemKeys(before) {
  const takesField = new Set(["map", "sort", "sum", "min", "max", "unique", "groupby", "selectattr", "rejectattr"]);
  let at = before.length - 1;
  if (before[at]?.text === "=" && before[at - 1]?.text === "attribute") at -= 2;
  else if (!["groupby", "selectattr", "rejectattr"].includes(before[at - 1]?.text)) return [];
  while (at > 0 && before[at].text !== "(") at -= 1;
  if (!takesField.has(before[at - 1]?.text) || before[at - 2]?.text !== "|") return [];
  const chain = chainBefore(before.slice(0, at - 2));
  return keys(chain && valueAt(chain)?.i, false);
}

/** Filters that take a value of *kind*: those of its own group first, those for any value last. */
function filters(kind) {
  const known = kind && kind !== "any" ? kind : null;
  const rank = (word) => (word.group === GROUPS[known] ? 0 : word.takes.includes("any") ? 2 : 1);
  return knowledge.words()
    .filter((word) => word.kind === "filter" && !word.same_as && (!known || word.takes.includes("any") || word.takes.includes(known)))
    .map((word, index) => [known ? rank(word) : 0, index, word])
    .sort((a, b) => a[0] - b[0] || a[1] - b[1])
    .map(([, , word]) => ofWord(word));
}

const tests = () => knowledge.words().filter((word) => word.kind === "test" && !word.same_as && /^\w+$/.test(word.name)).map(ofWord);

function ofWord(word) {
  const text = word.needs ? `${word.name}()` : word.name;
  return { label: word.name, text, kind: word.kind, word, caret: word.needs ? 1 : 0 };
}

function optionOf(label, text, value) {
  return { label, text, kind: value?.k ?? "any", sample: value?.v, said: value?.d, mayMiss: value?.w };
}

/** Those that fit what was *typed*, the best first: at the beginning, at the beginning of a part, somewhere. */
function ranked(options, typed) {
  const wanted = typed.toLowerCase();
  const score = ({ label }) => {
    const name = label.toLowerCase();
    if (name.startsWith(wanted)) return 0;
    const place = name.search(new RegExp(`(^|[^\\p{L}\\p{N}])${escape(wanted.replace("$", ""))}`, "u"));
    return place >= 0 ? 1 : name.includes(wanted.replace("$", "")) ? 2 : 3;
  };
  const seen = new Set();
  return options
    .filter((each) => !seen.has(each.label) && seen.add(each.label))
    .map((each, index) => [wanted ? score(each) : 0, index, each])
    .filter(([rank]) => rank < 3)
    .sort((a, b) => a[0] - b[0] || a[1] - b[1])
    .slice(0, MOST)
    .map(([, , each]) => each);
}

const escape = (text) => text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
