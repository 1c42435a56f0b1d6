/* A text field for expressions: a real text area over a coloured copy of what it holds, suggestions while one types, and
   below it the value that the expressions have now. Python sets `value`, `problems` and `answer`. */

import {
  Answer, DRAGGED, Suggestions, apply, erased, expressionsIn, faultsOf, focused, hideHelp, inserted, offsetAt, paint, rectAt, register,
  showHelp, typed,
} from "pulsewire-expressions";

const SEND_AFTER = 200; // ms
const HELP_AFTER = 400;
let fields = 0;

export default {
  template: `
    <div class="px" :class="{ 'px--mono': mono, 'px--many': lines === 'many', 'px--bad': problems.some((each) => !each.isWarning), 'px--answered': answer }">
      <div class="px-box" @mousedown.self.prevent="area().focus()">
        <div class="px-stack">
          <pre ref="painted" class="px-painted" aria-hidden="true"></pre>
          <textarea ref="area" class="px-area" rows="1" spellcheck="false" autocomplete="off" autocapitalize="off" autocorrect="off"
            aria-autocomplete="list" :aria-label="ariaLabel" :placeholder="placeholder" :aria-required="required || null"
            :aria-invalid="problems.length ? 'true' : null" :aria-describedby="answer ? key + '-answer' : null"
            @beforeinput="before" @input="changed" @keydown="pressed" @focus="entered" @blur="left" @click="suggestions.close()"
            @mousemove="pointed" @mouseleave="unpointed" @dragover="dragged" @drop="dropped"></textarea>
        </div>
      </div>
      <Answer v-if="answer" :answer="answer" :id="key + '-answer'" />
    </div>`,

  components: { Answer },
  props: {
    value: { type: String, default: "" },
    version: Number, // of a value that Python gave; any other is what was typed here, perhaps some letters ago
    ariaLabel: String,
    placeholder: String,
    lines: { type: String, default: "one" }, // one: a line; long: one that may be wrapped by Shift+Enter; many: a text
    bare: Boolean, // one expression, its braces left out
    mono: Boolean,
    required: Boolean,
    problems: { type: Array, default: () => [] }, // {position, length?, isWarning}
    answer: Object,
  },
  emits: ["update:value", "focus"],

  data: () => ({ key: `px${++fields}` }),

  watch: {
    version() {
      if (this.timer || this.value === this.area().value) return; // what is typed here and not sent yet wins
      this.suggestions.close();
      this.area().value = this.sent = this.value;
      this.draw();
    },
    problems() {
      this.draw();
    },
    answer(now, before) {
      if (now?.position !== before?.position) this.draw();
    },
  },

  mounted() {
    const area = this.area();
    area.value = this.sent = this.value;
    area.readOnly = Boolean(this.$el.closest(".fe--readonly"));
    this.suggestions = new Suggestions(area, this.$refs.painted, () => this.bare);
    this.handle = { element: this.$el, insert: this.insert };
    this.forget = register(this.handle);
    this.draw();
  },

  beforeUnmount() {
    this.forget();
    this.suggestions.close();
    hideHelp(this.$el);
    clearTimeout(this.timer);
    clearTimeout(this.pointing);
  },

  methods: {
    area() {
      return this.$refs.area;
    },

    focus() {
      this.area().focus();
    },

    /** Put a value, or any text, where the caret is or was last. */
    insert(text) {
      const area = this.area();
      if (!area.readOnly) apply(area, inserted(area.value, area.selectionStart, area.selectionEnd, text, this.bare));
    },

    draw() {
      const { value } = this.area();
      const { position } = this.answer ?? {};
      const problems = [...this.problems, ...(position >= 0 ? [{ position, isWarning: true }] : [])];
      paint(this.$refs.painted, value, this.bare, value === this.sent ? faultsOf(value, this.bare, problems) : []);
    },

    // -- typing

    before(event) {
      const isOneLine = this.lines === "one" && event.data?.includes("\n");
      if (this.lines !== "many" && ["insertLineBreak", "insertParagraph"].includes(event.inputType)) event.preventDefault();
      else if (isOneLine) this.putInLine(event);
      else if (!event.isComposing && this.isDealtWith(event)) event.preventDefault();
    },

    /** Take several lines, as a paste brings them, as one. */
    putInLine(event) {
      event.preventDefault();
      const { selectionStart: from, selectionEnd: to } = this.area();
      const text = event.data.replace(/\s*\n\s*/g, " ");
      apply(this.area(), { from, to, text, caret: from + text.length });
    },

    isDealtWith({ inputType, data }) {
      const area = this.area();
      const { value, selectionStart: from, selectionEnd: to } = area;
      const isLetter = inputType === "insertText" && data?.length === 1;
      const isErased = inputType === "deleteContentBackward" && from === to;
      const edit = isLetter ? typed(value, from, to, data, this.bare) : isErased ? erased(value, from, this.bare) : null;
      if (!edit) return false;
      this.isClosing = true; // what is inserted now was not typed
      apply(area, edit);
      this.isClosing = false;
      if (edit.text === "{  }}") this.open();
      else this.suggestions.refresh();
      return true;
    },

    changed(event) {
      const area = this.area();
      if (this.lines === "one" && area.value.includes("\n")) {
        const caret = area.selectionStart;
        area.value = area.value.replace(/\n/g, " ");
        area.setSelectionRange(caret, caret);
      }
      this.draw();
      hideHelp();
      clearTimeout(this.timer);
      this.timer = setTimeout(this.send, SEND_AFTER);
      // phones compose every word; what is composed in other scripts is no name yet
      const isForeign = event.isComposing && !/^[\w$]*$/.test(event.data ?? "");
      if (isForeign || this.isClosing || this.suggestions.isAccepting) return;
      this.tell("px-close");
      const isTyped = event.isComposing || (event.inputType === "insertText" && event.data?.length <= 2);
      if (isTyped || (this.suggestions.isOpen && event.inputType?.startsWith("delete"))) this.suggestions.refresh();
      else this.suggestions.close();
    },

    send() {
      clearTimeout(this.timer);
      this.timer = null;
      const text = this.area().value;
      if (text === this.sent) return;
      this.sent = text;
      const known = mounted_app.elements[this.$el.id.slice(1)];
      if (known) known.props.value = text; // for when the field is drawn anew
      this.$emit("update:value", text);
    },

    pressed(event) {
      if (event.isComposing) return;
      if (["ArrowLeft", "ArrowRight", "Home", "End"].includes(event.key)) this.suggestions.close();
      const isAsked = (event.key === " " && event.ctrlKey) || (event.key === "ArrowDown" && event.altKey);
      if (isAsked) this.suggestions.refresh(true);
      else if (event.key === "F1") this.help();
      else if (event.key === "Escape" && (hideHelp() || this.tell("px-close"))) event.stopPropagation();
      else if (event.key === "ArrowDown" && this.isOpened) this.tell("px-enter");
      else if (this.suggestions.key(event)) event.stopPropagation();
      else if (event.key === "Enter" && this.lines !== "many" && !event.ctrlKey && !event.metaKey) {
        if (event.shiftKey && this.lines === "long") this.insert("\n");
        this.send();
      } else return;
      event.preventDefault();
    },

    entered() {
      focused(this.handle);
      this.$emit("focus");
    },

    left() {
      this.suggestions.close();
      hideHelp();
      if (this.timer) this.send();
    },

    /** The braces of a new expression were typed: another part of the page may offer values, or the list does. */
    open() {
      const { left, top, bottom } = rectAt(this.$refs.painted, this.area().selectionStart);
      const event = new CustomEvent("px-open", { bubbles: true, cancelable: true, detail: { rect: { left, top, bottom } } });
      this.isOpened = !this.$el.dispatchEvent(event);
      if (!this.isOpened) this.suggestions.refresh(true);
    },

    /** Tell whoever took over when the braces were typed; false if nobody did. */
    tell(name) {
      if (!this.isOpened) return false;
      this.isOpened = false;
      this.$el.dispatchEvent(new CustomEvent(name, { bubbles: true }));
      return true;
    },

    // -- help

    help() {
      const area = this.area();
      const at = area.selectionStart;
      const tokens = expressionsIn(area.value, this.bare).flatMap((each) => each.tokens);
      const token = tokens.findLast((each) => each.from <= at && ["filter", "test"].includes(each.role));
      if (token) showHelp(token, rectAt(this.$refs.painted, token.from), this.$el);
    },

    pointed(event) {
      clearTimeout(this.pointing);
      if (this.suggestions.isOpen || event.buttons) return;
      const { clientX: x, clientY: y } = event;
      this.pointing = setTimeout(() => this.helpAt(x, y), HELP_AFTER);
    },

    helpAt(x, y) {
      const area = this.area();
      const at = offsetAt(area, this.$refs.painted, x, y);
      const token = at === null ? null : expressionsIn(area.value, this.bare).flatMap((each) => each.tokens).find((each) => each.from <= at && at < each.to);
      if (token && ["filter", "test"].includes(token.role)) showHelp(token, rectAt(this.$refs.painted, token.from), this.$el);
      else hideHelp(this.$el);
    },

    unpointed() {
      clearTimeout(this.pointing);
      hideHelp(this.$el);
    },

    // -- dropping

    dragged(event) {
      if (!event.dataTransfer.types.includes(DRAGGED) || this.area().readOnly) return;
      event.preventDefault();
      event.dataTransfer.dropEffect = "copy";
      this.put(event);
    },

    dropped(event) {
      const name = event.dataTransfer.getData(DRAGGED);
      if (!name || this.area().readOnly) return;
      event.preventDefault();
      this.put(event);
      this.insert(name);
    },

    /** Put the caret where the mouse is, so that it is seen where the value will stand. */
    put(event) {
      const area = this.area();
      const at = offsetAt(area, this.$refs.painted, event.clientX, event.clientY) ?? area.value.length;
      area.focus({ preventScroll: true });
      area.setSelectionRange(at, at);
    },
  },
};
