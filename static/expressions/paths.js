/* Paths such as `$action.find.rows[0].name`: read back from the tokens before a place, and followed in what is known. */

import * as knowledge from "./knowledge.js";

/** The path that ends with the last of *tokens*, as a list of names and numbers beginning with the root; null if what
 * ends there is no path. */
export function chainBefore(tokens) {
  const chain = [];
  for (let at = tokens.length - 1; at >= 0; ) {
    const token = tokens[at];
    if (token.role === "root") return [token.text.slice(1), ...chain];
    if (token.role === "key" && tokens[at - 1]?.text === ".") {
      chain.unshift(token.text);
      at -= 2;
    } else if (token.text === "]" && tokens[at - 2]?.text === "[" && ["string", "number"].includes(tokens[at - 1].kind)) {
      const inside = tokens[at - 1];
      chain.unshift(inside.kind === "number" ? Number(inside.text) : inside.text.slice(1, -1).replace(/\\(.)/g, "$1"));
      at -= 3;
    } else return null;
  }
  return null;
}

/** What is known of the value at a *chain*; undefined if nothing is. */
export function valueAt(chain) {
  if (!chain) return undefined;
  let value = knowledge.scope()[chain[0]];
  for (const step of chain.slice(1)) value = typeof step === "number" ? value?.i : value?.f?.[step];
  return value;
}

/** The fields of a known value, as pairs of name and value. */
export function fieldsOf(value) {
  return Object.entries(value?.f ?? {});
}

/** *path* with a member added, in brackets where the name needs them. */
export function memberText(path, name) {
  return /^[\p{L}_][\p{L}\p{N}_]*$/u.test(name) ? `${path}.${name}` : `${path}['${name.replace(/[\\']/g, "\\$&")}']`;
}

/** The kind of the value that ends with the last of *tokens*, as far as it is known. */
export function kindBefore(tokens) {
  const last = tokens.at(-1);
  if (!last) return null;
  const chain = chainBefore(tokens);
  if (chain) return valueAt(chain)?.k ?? null;
  if (last.role === "string") return "text";
  if (last.role === "number") return "number";
  const at = last.text === ")" ? opening(tokens) - 1 : tokens.length - 1;
  return tokens[at]?.role === "filter" ? knowledge.wordOf("filter", tokens[at].text)?.gives ?? null : null;
}

function opening(tokens) {
  let depth = 0;
  for (let at = tokens.length - 1; at >= 0; at -= 1) {
    if (tokens[at].text === ")") depth += 1;
    else if (tokens[at].text === "(" && (depth -= 1) === 0) return at;
  }
  return 0;
}
