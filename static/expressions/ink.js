/* Expressions in a code editor (CodeMirror): their colours, the problems in them, suggestions and help. */

import * as CM from "nicegui-codemirror";
import { complete } from "./completion.js";
import { DRAGGED, focused, register } from "./fields.js";
import { helpOf } from "./help.js";
import { wordOf } from "./knowledge.js";
import { faultsOf } from "./paint.js";
import { expressionAt, expressionsIn } from "./tokens.js";
import { inserted, typed } from "./typing.js";

const setProblems = CM.StateEffect.define();

export class Ink {
  /** *editor* is the view; *label* names it for screen readers. In JSON an expression stands in quotes: *isQuoted*. */
  constructor(editor, label, isQuoted = false) {
    this.editor = editor;
    this.isQuoted = isQuoted;
    editor.dom.parentElement.removeAttribute("aria-label"); // a name belongs to what takes the text
    editor.dispatch({ effects: CM.StateEffect.appendConfig.of(extensions(label, this)) });
    this.handle = { element: editor.dom.parentElement, insert: (text) => this.insert(text) };
    this.forget = register(this.handle);
  }

  /** The braces of a new expression were typed: see fields.js for who may take over. */
  open() {
    const { left, top, bottom } = this.editor.coordsAtPos(this.editor.state.selection.main.head) ?? {};
    const event = new CustomEvent("px-open", { bubbles: true, cancelable: true, detail: { rect: { left, top, bottom } } });
    this.isOpened = !this.editor.dom.dispatchEvent(event);
  }

  tell(name) {
    if (!this.isOpened) return false;
    this.isOpened = false;
    this.editor.dom.dispatchEvent(new CustomEvent(name, { bubbles: true }));
    return true;
  }

  setProblems(problems) {
    this.editor.dispatch({ effects: setProblems.of(problems) });
  }

  insert(text) {
    const { from, to } = this.editor.state.selection.main;
    const before = this.editor.state.doc.toString();
    const edit = inserted(before, from, to, text);
    change(this.editor, edit.text.startsWith("{{") && this.needsQuotes(before, from) ? quoted(edit) : edit, "input");
    this.editor.focus();
  }

  needsQuotes(text, at) {
    return this.isQuoted && !isInString(text, at);
  }

  destroy() {
    this.forget();
  }
}

function extensions(label, ink) {
  const problems = CM.StateField.define({
    create: () => [],
    update: (value, change) => change.effects.find((effect) => effect.is(setProblems))?.value ?? (change.docChanged ? [] : value),
  });
  const colours = CM.ViewPlugin.fromClass(
    class {
      constructor(view) {
        this.decorations = marks(view.state, problems);
      }
      update({ state, docChanged, transactions }) {
        const isTold = transactions.some((each) => each.effects.some((effect) => effect.is(setProblems)));
        if (docChanged || isTold) this.decorations = marks(state, problems);
      }
    },
    { decorations: (plugin) => plugin.decorations },
  );
  const source = [{ autocomplete: (context) => (ink.isOpened && !context.explicit ? null : suggestions(context)) }]; // known by identity
  return [
    problems,
    CM.Prec.highest(colours),
    CM.EditorState.languageData.of(() => source),
    CM.EditorView.updateListener.of(({ docChanged }) => docChanged && !ink.isTyping && ink.tell("px-close")),
    CM.Prec.highest(CM.keymap.of([
      { key: "ArrowDown", run: () => ink.tell("px-enter") },
      { key: "Escape", run: () => ink.tell("px-close") },
    ])),
    CM.hoverTooltip(helpUnder),
    CM.EditorView.contentAttributes.of({ "aria-label": label }),
    CM.EditorView.domEventHandlers({
      focus: () => focused(ink.handle),
      drop: (event, view) => dropped(event, view, ink),
    }),
    CM.Prec.highest(CM.EditorView.inputHandler.of((...typed) => closing(ink, ...typed))),
  ];
}

function marks(state, problems) {
  const text = state.doc.toString();
  const found = [];
  const mark = (name, from, to) => from < to && found.push(CM.Decoration.mark({ class: name }).range(from, to));
  for (const each of expressionsIn(text)) {
    mark("px-expression", each.from, each.to);
    mark("px-brace", each.from, each.start);
    for (const token of each.tokens) mark(`px-${token.role}`, token.from, token.to);
    if (each.isClosed) mark("px-brace", each.end, each.to);
  }
  for (const { from, to, isWarning } of faultsOf(text, false, state.field(problems))) mark(isWarning ? "px-fault px-fault--warning" : "px-fault", from, to);
  return CM.Decoration.set(found, true);
}

function suggestions(context) {
  const found = complete(context.state.doc.toString(), context.pos, false, context.explicit);
  if (!found) return null;
  const options = found.options.map((option, index) => ({
    label: option.label,
    detail: option.sample ?? option.word?.group ?? option.said ?? "",
    boost: -index,
    info: option.word ? () => helpOf(option.word) : undefined,
    apply: (view, _completion, from, to) => {
      const start = option.from ?? from;
      const caret = start + option.text.length - (option.caret ?? 0);
      change(view, { from: start, to, text: option.text, caret }, "input.complete");
    },
  }));
  return { from: found.from, options, filter: false };
}

function helpUnder(view, at) {
  const tokens = expressionAt(view.state.doc.toString(), at)?.tokens ?? [];
  const token = tokens.find((each) => each.from <= at && at < each.to && ["filter", "test"].includes(each.role));
  const word = token && wordOf(token.role, token.text);
  return word ? { pos: token.from, end: token.to, create: () => ({ dom: helpOf(word) }) } : null;
}

/** The editor closes a brace itself, so the second one that is typed has a closing one behind it. */
function closing(ink, view, from, to, letter) {
  const text = view.state.doc.toString();
  const isSecond = letter === "{" && from === to && /(^|[^{])\{$/.test(text.slice(Math.max(0, from - 2), from)) && text[from] === "}";
  const isEnd = letter === '"' && ink.isQuoted && from === to && text[from] === '"' && text.slice(0, from).endsWith("}}");
  if (isEnd) {
    view.dispatch({ selection: { anchor: from + 1 } }); // the quote is there already
    return true;
  }
  const edit = isSecond ? { from, to: to + 1, text: "{  }}", caret: from + 2 } : letter.length === 1 ? typed(text, from, to, letter) : null;
  if (!edit) return false;
  const isOpened = edit.text === "{  }}";
  if (isOpened) ink.isOpened = true; // no suggestions while it is asked who takes over
  const whole = { from: from - 1, to: edit.to, text: "{{  }}", caret: edit.caret };
  ink.isTyping = true;
  change(view, isOpened && ink.needsQuotes(text, from) ? quoted(whole) : edit, "input.type");
  ink.isTyping = false;
  if (isOpened) ink.open();
  return true;
}

const quoted = ({ from, to, text, caret }) => ({ from, to, text: `"${text}"`, caret: caret + 1 });

/** Whether the place *at* of a JSON text is within a string. */
function isInString(text, at) {
  return (text.slice(0, at).replace(/\\[^]/g, "").match(/"/g) ?? []).length % 2 === 1;
}

function change(view, { from, to, text, caret }, userEvent) {
  view.dispatch({ changes: { from, to, insert: text }, selection: { anchor: caret }, userEvent });
}

function dropped(event, view, ink) {
  const name = event.dataTransfer.getData(DRAGGED);
  if (!name) return false;
  event.preventDefault();
  const at = view.posAtCoords({ x: event.clientX, y: event.clientY });
  if (at !== null) view.dispatch({ selection: { anchor: at } });
  ink.insert(name);
  return true;
}
