/* Finds the expressions in a text and says what each of their parts is, for colours and completion. It reads like
   runtime/scanner.py, but refuses nothing: what a person has not finished yet has a colour too. */

const TOKEN = new RegExp(
  [
    "(?<string>'(?:[^'\\\\]|\\\\[^])*'|\"(?:[^\"\\\\]|\\\\[^])*\")",
    "(?<number>0[xXbBoO][0-9a-fA-F_]+|\\d[\\d_]*(?:\\.\\d[\\d_]*)?(?:[eE][+-]?\\d[\\d_]*)?)",
    "(?<root>\\$(?:[\\p{L}_][\\p{L}\\p{N}_]*)?)",
    "(?<word>[\\p{L}_][\\p{L}\\p{N}_]*)",
    "(?<operator>\\*\\*|//|==|!=|<=|>=|[-+*/%~<>=|.,:()\\[\\]{}])",
  ].join("|"),
  "uy",
);
const SPACE = /\s+/y;
const PAIRS = { ")": "(", "]": "[", "}": "{" };
const KEYWORDS = new Set(["and", "or", "not", "in", "is", "if", "else"]);
const CONSTANTS = new Set(["true", "false", "none", "True", "False", "None"]);

/** The expressions of *text*: `{from, start, end, to, isClosed, tokens}`, `start` to `end` being what is between the
 * braces. A *bare* text without braces is one expression as a whole. */
export function expressionsIn(text, isBare = false) {
  if (isBare && !text.includes("{{")) return [{ from: 0, to: text.length, isClosed: true, isBare, ...scan(text, 0, true) }];
  const found = [];
  let at = 0;
  for (let open; (open = text.indexOf("{{", at)) >= 0; ) {
    const { start, end, tokens } = scan(text, open + 2, false);
    const isClosed = text.startsWith("}}", end);
    at = isClosed ? end + 2 : end;
    found.push({ from: open, start, end, to: at, isClosed, isBare: false, tokens });
  }
  return found;
}

/** The expression whose inside holds the place *at*, if any. */
export function expressionAt(text, at, isBare = false) {
  return expressionsIn(text, isBare).find((each) => each.start <= at && at <= each.end) ?? null;
}

/** The brackets that are open at the place *at* of an expression, the innermost last. */
export function openBrackets(expression, at) {
  const open = [];
  for (const token of expression.tokens) {
    if (token.to > at) break;
    if ("([{".includes(token.text)) open.push(token.text);
    else if (PAIRS[token.text] && open.at(-1) === PAIRS[token.text]) open.pop();
  }
  return open;
}

function scan(text, start, isBare) {
  const tokens = [];
  let depth = 0;
  let at = start;
  while (at < text.length) {
    SPACE.lastIndex = at;
    if (SPACE.test(text)) at = SPACE.lastIndex;
    if (at >= text.length || (!isBare && depth === 0 && text.startsWith("}}", at))) break;
    const token = read(text, at, isBare);
    token.role = roleOf(token, tokens, text);
    tokens.push(token);
    if ("([{".includes(token.text)) depth += 1;
    else if (PAIRS[token.text]) depth = Math.max(0, depth - 1);
    at = token.to;
  }
  return { start, end: Math.min(at, text.length), tokens };
}

function read(text, at, isBare) {
  TOKEN.lastIndex = at;
  const found = TOKEN.exec(text);
  if (found) {
    const kind = Object.keys(found.groups).find((name) => found.groups[name] !== undefined);
    return { kind, text: found[0], from: at, to: at + found[0].length };
  }
  const isQuote = text[at] === "'" || text[at] === '"';
  const closed = isBare ? -1 : text.indexOf("}}", at);
  const to = !isQuote ? at + String.fromCodePoint(text.codePointAt(at)).length : closed >= 0 ? closed : text.length;
  return { kind: isQuote ? "string" : "bad", text: text.slice(at, to), from: at, to, isOpen: isQuote };
}

function roleOf(token, before, text) {
  const previous = before.at(-1);
  if (token.kind !== "word") return token.kind;
  if (previous?.text === ".") return "key";
  if (previous?.text === "|") return "filter";
  if (previous?.text === "is" && token.text !== "not") return "test";
  if (previous?.text === "not" && before.at(-2)?.text === "is") return "test";
  if (KEYWORDS.has(token.text)) return "keyword";
  if (CONSTANTS.has(token.text)) return "constant";
  return /^\s*=(?!=)/.test(text.slice(token.to, token.to + 20)) ? "argument" : "word";
}
