/* The list of suggestions below the caret of a text field. There is one list on the page; the focus stays in the field,
   which names the active entry for screen readers. */

import { rectAt } from "./caret.js";
import { helpOf } from "./help.js";
import { complete } from "./completion.js";
import { apply } from "./typing.js";

const MARGIN = 8;
const WIDTH = 300; // of the help beside the list
const PAGE = 7;
let list = null;

function made() {
  if (list) return list;
  const box = element("div", "px-pop");
  const options = element("div", "px-list", { role: "listbox", id: "px-list", "aria-label": "Suggestions" });
  const help = element("div", "px-help");
  const said = element("div", "pw-hidden-text", { "aria-live": "polite" });
  box.append(options, help);
  box.hidden = true;
  box.addEventListener("pointerdown", (event) => event.preventDefault()); // the field keeps the focus
  document.body.append(box, said);
  list = { box, options, help, said, owner: null };
  document.addEventListener("scroll", ({ target }) => list.owner && target.contains?.(list.owner.field) && list.owner.place(), { capture: true, passive: true });
  addEventListener("resize", () => list.owner?.close());
  return list;
}

export class Suggestions {
  /** *field* is a text field and *painted* its copy; *isBare* tells whether it holds one expression without braces. */
  constructor(field, painted, isBare) {
    Object.assign(this, { field, painted, isBare, found: null, active: 0 });
  }

  get isOpen() {
    return this.found !== null;
  }

  /** Show what fits at the caret, or nothing. *isAsked*: a person wants to see all there is. */
  refresh(isAsked = false) {
    const { field } = this;
    const found = field.selectionStart === field.selectionEnd ? complete(field.value, field.selectionStart, this.isBare(), isAsked) : null;
    if (!found) return this.close();
    const isNew = !this.isOpen;
    this.found = found;
    this.active = 0;
    const { options, said } = made();
    list.owner = this;
    options.replaceChildren(...found.options.map((option, index) => this.row(option, index)));
    options.scrollTop = 0;
    list.box.hidden = false;
    field.setAttribute("aria-controls", "px-list");
    this.activate(0);
    this.place();
    if (isNew) said.textContent = `${found.options.length} suggestions`;
  }

  close() {
    if (!this.isOpen) return;
    this.found = null;
    this.field.removeAttribute("aria-activedescendant");
    this.field.removeAttribute("aria-controls");
    if (list?.owner === this) {
      list.box.hidden = true;
      list.owner = null;
      list.said.textContent = "";
    }
  }

  /** Deal with a key while the list is open; true when it was dealt with. */
  key(event) {
    if (!this.isOpen || event.ctrlKey || event.metaKey || event.altKey) return false;
    const steps = { ArrowDown: 1, ArrowUp: -1, PageDown: PAGE, PageUp: -PAGE };
    if (steps[event.key]) this.move(steps[event.key]);
    else if (event.key === "Enter" || (event.key === "Tab" && !event.shiftKey)) this.accept(this.found.options[this.active]);
    else if (event.key === "Escape") this.close();
    else return false;
    return true;
  }

  move(by) {
    const count = this.found.options.length;
    const to = this.active + by;
    this.activate(Math.abs(by) === 1 ? (to + count) % count : Math.max(0, Math.min(count - 1, to)));
  }

  activate(index) {
    const rows = list.options.children;
    rows[this.active]?.setAttribute("aria-selected", "false");
    this.active = index;
    rows[index].setAttribute("aria-selected", "true");
    rows[index].scrollIntoView({ block: "nearest" });
    this.field.setAttribute("aria-activedescendant", rows[index].id);
    const { word } = this.found.options[index];
    list.help.replaceChildren(...(word ? [helpOf(word)] : []));
    list.help.hidden = !word;
  }

  accept(option) {
    const { from, to } = { ...this.found, ...option };
    this.close();
    this.isAccepting = true;
    apply(this.field, { from, to, text: option.text, caret: from + option.text.length - (option.caret ?? 0) });
    this.isAccepting = false;
    if (option.goesOn) this.refresh(true);
  }

  row(option, index) {
    const made = element("div", "px-option", { role: "option", id: `px-option-${index}`, "aria-selected": "false" });
    const name = element("span", "px-option-name");
    name.textContent = option.label;
    const side = element("span", "px-option-side");
    side.textContent = option.sample ?? option.word?.group ?? option.said ?? kindOf(option);
    made.append(element("i", `px-kind px-kind--${option.kind}`, { "aria-hidden": "true" }), name, side);
    made.addEventListener("click", () => this.accept(option));
    made.addEventListener("pointermove", () => this.active !== index && this.activate(index));
    return made;
  }

  place() {
    const { box, help } = list;
    const caret = rectAt(this.painted, this.found.from);
    box.classList.remove("px-pop--below");
    const left = Math.max(MARGIN, Math.min(caret.left - 30, innerWidth - box.offsetWidth - MARGIN));
    box.classList.toggle("px-pop--below", left < WIDTH + 2 * MARGIN);
    const room = innerHeight - caret.bottom - MARGIN;
    const isAbove = box.offsetHeight > room && caret.top > room;
    box.style.left = `${left}px`;
    box.style.top = isAbove ? "auto" : `${caret.bottom + 6}px`;
    box.style.bottom = isAbove ? `${innerHeight - caret.top + 6}px` : "auto";
    help.classList.toggle("px-help--up", isAbove);
  }
}

const kindOf = ({ kind }) => (kind === "any" ? "" : kind);

function element(tag, name, attributes = {}) {
  const made = document.createElement(tag);
  made.className = name;
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}
