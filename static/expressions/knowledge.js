/* What the page knows for completion: the values that the selected node can use, and the filters and tests. */

const known = { scope: {}, words: [], byName: new Map() };

/** Take over *scope*: name of a root, without `$`, -> value `{k: kind, f?: fields, i?: items, v?: sample, d?: said}`. */
export function setScope(scope) {
  known.scope = scope;
}

/** Take over the filters and tests: `{name, kind, group, signature, summary, examples, takes, gives, needs}`. */
export function setWords(words) {
  known.words = words;
  known.byName = new Map(words.map((each) => [`${each.kind} ${each.name}`, each]));
}

export const scope = () => known.scope;
export const words = () => known.words;
export const wordOf = (kind, name) => known.byName.get(`${kind} ${name}`);
