/* A tree of the values that the open node can use, beside the form that they are inserted into. It opens at the button of
   a field, or when the braces of an expression are typed; then it asks Python for the tree (`ask`), which comes back
   through `show`. A field in which nothing is written is left to Python (`accept`). User text reaches the page only as text. */

import { DRAGGED, drag, insert } from "pulsewire-expressions";

const WRITTEN = ".px-area, .cm-content";
const ICONS = { text: "notes", number: "tag", boolean: "toggle_on", list: "data_array", object: "data_object", null: "block", any: "asterisk" };
const WORDS = { boolean: "yes or no", null: "empty", any: "anything" };
const WIDTH = 348;
const HEIGHT = 580;
const MARGIN = 8; // px to the form and to the edges of the window
const narrow = matchMedia("(max-width: 699px)");
const last = new WeakMap(); // field -> what was written in last in it

const fieldOf = (element) => element.closest?.(".fe-field:has(.fe-insert)") ?? null;

/** Where values of *field* go: what was written in last, or the last there is; null if nothing is written there. */
function writtenIn(field) {
  const used = last.get(field);
  return used?.isConnected ? used : [...field.querySelectorAll(".fe-control :is(" + WRITTEN + ")")].at(-1) ?? null;
}

function whenShown(selector, use, tries = 100) {
  const element = document.querySelector(selector);
  if (element?.offsetHeight) use(element);
  else if (tries) setTimeout(whenShown, 50, selector, use, tries - 1);
}

export default {
  emits: ["ask", "accept"],
  template: `
    <div v-if="isOpen" ref="root" class="vp" :class="{ 'vp--sheet': isSheet }" role="dialog" :aria-modal="isSheet" :aria-label="title" :style="place" @keydown="keydown">
      <div v-if="isSheet" class="vp-scrim" @click="close(true)"></div>
      <div class="vp-card">
        <div class="vp-head">
          <label class="vp-search">
            <i class="q-icon material-symbols-rounded" aria-hidden="true">search</i>
            <input ref="search" v-model="query" type="text" spellcheck="false" autocomplete="off" placeholder="Search values" role="combobox"
                   aria-label="Search values" aria-haspopup="tree" aria-expanded="true" aria-controls="vp-tree" aria-autocomplete="list" :aria-activedescendant="activeId" />
          </label>
          <button type="button" class="vp-close" aria-label="Close" title="Close (Esc)" @click="close(true)"><i class="q-icon material-symbols-rounded" aria-hidden="true">close</i></button>
        </div>
        <div v-if="groups && hint && !query" class="vp-hint"><i class="q-icon material-symbols-rounded" aria-hidden="true">lightbulb</i><span>{{ hint }}</span></div>
        <div id="vp-tree" ref="tree" class="vp-tree" role="tree" tabindex="-1" :aria-label="title" :aria-activedescendant="activeId" :aria-busy="!groups">
          <div v-for="row in rows" :key="row.key" :id="row.id" role="treeitem" class="vp-row" :class="[row.level === 1 ? 'vp-group' : 'vp-leaf', { 'is-active': row.key === active, 'vp-whole': row.item.isWhole }]"
               :style="{ '--depth': row.level - 2 }" :aria-level="row.level" :aria-posinset="row.place" :aria-setsize="row.count" :aria-selected="row.key === active" :aria-expanded="row.item.children ? row.isUnfolded : null"
               :draggable="row.item.path && !isSheet" @click="choose(row)" @pointermove="active = row.key" @dragstart="dragStart(row, $event)" @dragend="dragEnd">
            <button v-if="row.item.children && row.level > 1" type="button" class="vp-fold" tabindex="-1" :aria-label="(row.isUnfolded ? 'Fold ' : 'Unfold ') + row.item.name" @click.stop="fold(row)"><i class="q-icon material-symbols-rounded" aria-hidden="true">chevron_right</i></button>
            <i v-else-if="row.level === 1" class="q-icon material-symbols-rounded vp-arrow" aria-hidden="true">chevron_right</i>
            <span v-if="row.item.icon" class="vp-tile" :style="{ '--kind': 'var(' + row.item.color + ')' }" aria-hidden="true"><i class="q-icon material-symbols-rounded">{{ row.item.icon }}</i></span>
            <i v-else class="q-icon material-symbols-rounded vp-kind" :data-kind="row.item.kind" role="img" :aria-label="word(row.item.kind)" :title="word(row.item.kind)">{{ icons[row.item.kind] || icons.any }}</i>
            <span class="vp-name">{{ row.item.name }}</span>
            <i v-if="row.item.missing" class="q-icon material-symbols-rounded vp-missing" role="img" aria-label="may be missing" :title="row.item.missing">help</i>
            <span v-if="row.item.sample" class="vp-sample">{{ row.item.sample }}</span>
            <span v-else-if="row.level > 1" class="vp-sample vp-sample--kind" aria-hidden="true">{{ word(row.item.kind) }}</span>
            <span v-else-if="row.item.note" class="vp-sample vp-sample--kind">{{ row.item.note }}</span>
          </div>
          <div v-if="groups && !rows.length" class="vp-none">{{ query ? 'Nothing is called “' + query + '”.' : 'There is nothing to use yet.' }}</div>
        </div>
        <div v-if="current" class="vp-foot">
          <div class="vp-path"><code>{{ current.path || current.name }}</code><span>{{ current.path ? word(current.kind) : current.note }}</span></div>
          <div v-if="current.whole || current.sample" class="vp-value">{{ current.whole || current.sample }}</div>
          <div v-if="current.missing" class="vp-why"><i class="q-icon material-symbols-rounded" aria-hidden="true">help</i><span>{{ current.missing }}</span></div>
          <div v-if="current.about || current.origin" class="vp-about">{{ [current.about, current.origin].filter(Boolean).join(' ') }}</div>
        </div>
        <div v-if="!isSheet" class="vp-keys" aria-hidden="true"><span><kbd>↑</kbd><kbd>↓</kbd> choose</span><span><kbd>↵</kbd> insert</span><span>drag into any field</span></div>
      </div>
    </div>
  `,
  data: () => ({ isOpen: false, isSheet: false, groups: null, hint: "", query: "", active: null, unfolded: new Set(), field: null, isTyping: false, place: {}, title: "Values" }),
  computed: {
    icons: () => ICONS,
    words() { return this.query.toLowerCase().split(/\s+/).filter(Boolean); },
    rows() {
      const rows = [];
      const add = (items, level, above) => {
        const shown = items.map((item) => [item, this.words.length ? this.found(item, above) : "self"]).filter(([, found]) => found);
        shown.forEach(([item, found], place) => {
          const isUnfolded = this.words.length ? found === "inside" : this.unfolded.has(item.key);
          const isHit = item.path && !item.isWhole && this.matches(item, above);
          rows.push({ item, key: item.key, id: `vp-${rows.length}`, level, place: place + 1, count: shown.length, isUnfolded, isHit });
          if (item.children && isUnfolded) add(item.children, level + 1, `${above} ${item.name}`);
        });
      };
      add(this.groups ?? [], 1, "");
      return rows;
    },
    activeRow() { return this.rows.find((row) => row.key === this.active); },
    activeId() { return this.activeRow?.id; },
    current() { return this.activeRow?.item; },
  },
  watch: {
    query() { this.active = this.first(); },
  },
  mounted() {
    this.listeners = [
      ["click", this.pressed], ["px-open", this.asked], ["px-enter", this.enter], ["px-close", () => this.close()],
      ["pointerdown", this.pointedOutside], ["keydown", this.escaped], ["focusin", this.focused], ["dragover", this.dragOver], ["dragleave", this.dragLeave], ["drop", this.drop],
    ];
    this.listeners.forEach(([name, listener]) => document.addEventListener(name, listener, true));
  },
  unmounted() {
    this.listeners.forEach(([name, listener]) => document.removeEventListener(name, listener, true));
  },
  methods: {
    word: (kind) => WORDS[kind] ?? kind,

    // -- opening and closing

    open(field, isTyping = false) {
      this.field = field;
      this.isTyping = isTyping; // then the field itself hears of Escape
      this.title = `Values for ${field.dataset.title ?? "this field"}`;
      this.isSheet = narrow.matches;
      if (!this.isOpen) this.groups = null;
      this.query = "";
      this.isOpen = true;
      this.arrange();
      this.$emit("ask", { param: field.dataset.param });
      if (!isTyping) this.$nextTick(this.enter);
    },
    enter() {
      (this.isSheet ? this.$refs.tree : this.$refs.search)?.focus({ preventScroll: true });
    },
    arrange() {
      if (this.isSheet) { this.place = {}; return; }
      const form = this.field.closest(".fe-right, .pw-dialog") ?? this.field;
      const height = Math.min(HEIGHT, innerHeight - 60 - 2 * MARGIN);
      const top = Math.max(52 + MARGIN, Math.min(this.field.getBoundingClientRect().top - 12, innerHeight - height - MARGIN));
      this.place = { top: `${top}px`, left: `${Math.max(MARGIN, form.getBoundingClientRect().left - WIDTH - MARGIN)}px`, width: `${WIDTH}px`, height: `${height}px` };
    },
    show({ groups, hint, unfolded }) {
      this.groups = groups;
      this.hint = hint;
      this.unfolded = new Set(unfolded);
      this.active = this.first();
    },
    close(isReturning = false) {
      if (!this.isOpen) return;
      const field = this.field;
      this.isOpen = false;
      this.field = null;
      if (isReturning) (writtenIn(field) ?? field.querySelector(".fe-insert"))?.focus({ preventScroll: true });
    },
    pressed(event) {
      const field = event.target.closest(".fe-insert")?.closest(".fe-field");
      if (!field) return;
      if (this.isOpen && this.field === field) this.close(true);
      else this.open(field);
    },
    asked(event) { // on a phone the sheet would hide what is typed: there suggestions are better
      const field = fieldOf(event.target);
      if (!field || narrow.matches) return;
      event.preventDefault();
      this.open(field, true);
    },
    pointedOutside({ target }) {
      if (this.isOpen && !this.$refs.root?.contains(target) && !target.closest(".fe-panel-body, .fe-field, .q-menu, .px-pop")) this.close();
    },
    escaped(event) { // from a field that a value was dragged into; a list of suggestions above it goes first
      if (!this.isOpen || this.isTyping || event.key !== "Escape" || !event.target.closest(".fe-field") || document.querySelector(".px-pop:not([hidden])")) return;
      event.stopPropagation();
      this.close();
    },
    focused({ target }) { // another field is written in: it is the one that values go to
      const field = target.matches(WRITTEN) ? fieldOf(target) : null;
      if (!field) return;
      last.set(field, target);
      if (this.isOpen) this.field = field;
    },
    /** Go to the field of a parameter, as soon as its section is unfolded. */
    focusField(param) {
      whenShown(`.fe-right .fe-field[data-param="${CSS.escape(param)}"]`, (field) => {
        field.scrollIntoView({ block: "center" });
        (writtenIn(field) ?? field.querySelector(".fe-control :is(input, textarea, button, [tabindex='0'])"))?.focus({ preventScroll: true });
      });
    },
    /** Go to the button that changes the id of a node, as soon as that node is open. */
    focusId(id) {
      whenShown(`.fe-id[data-id="${CSS.escape(id)}"]`, (button) => button.focus());
    },

    // -- the tree

    found(item, above) { // "inside" if what is below it matches too, "self" if only it does
      if (item.children?.some((child) => this.found(child, `${above} ${item.name}`))) return "inside";
      return item.path && this.matches(item, above) ? "self" : "";
    },
    matches(item, above) {
      const text = `${above} ${item.name} ${item.path}`.toLowerCase();
      return this.words.every((word) => text.includes(word));
    },
    first() {
      const best = this.rows.find((row) => row.isHit && this.words.some((word) => row.item.name.toLowerCase().includes(word)));
      return (best ?? this.rows.find((row) => row.isHit) ?? this.rows[0])?.key ?? null;
    },
    fold(row, isUnfolded = !row.isUnfolded) {
      if (this.words.length || !row.item.children) return;
      this.unfolded[isUnfolded ? "add" : "delete"](row.key);
      this.active = row.key;
    },
    choose(row) {
      this.active = row.key;
      if (!row.item.path) {
        this.fold(row);
        return;
      }
      this.insert(row.item.path);
      this.close();
    },
    keydown(event) {
      const row = this.activeRow;
      const at = this.rows.indexOf(row);
      const isFree = event.target !== this.$refs.search || !this.query; // arrows sideways belong to the search's own text
      const acts = {
        ArrowDown: () => this.go(at + 1),
        ArrowUp: () => this.go(at - 1),
        Home: isFree && (() => this.go(0)),
        End: isFree && (() => this.go(this.rows.length - 1)),
        ArrowRight: isFree && (() => (row?.item.children && !row.isUnfolded ? this.fold(row, true) : row?.item.children && this.go(at + 1))),
        ArrowLeft: isFree && (() => (row?.isUnfolded ? this.fold(row, false) : this.go(this.above(at)))),
        Enter: event.target.closest("button") ? null : () => row && this.choose(row),
        Escape: () => this.close(true),
        Tab: () => this.turn(event.shiftKey),
      };
      if (!acts[event.key] || event.isComposing) return;
      event.preventDefault();
      event.stopPropagation();
      acts[event.key]();
    },
    above(at) {
      const level = this.rows[at]?.level;
      for (let i = at - 1; i >= 0; i--) if (this.rows[i].level < level) return i;
      return at;
    },
    go(at) {
      const row = this.rows[Math.max(0, Math.min(at, this.rows.length - 1))];
      if (!row) return;
      this.active = row.key;
      this.$nextTick(() => this.$refs.tree?.querySelector(".is-active")?.scrollIntoView({ block: "nearest" }));
    },
    turn(isBack) { // Tab goes round: search, tree, close
      const stops = [this.$refs.search, this.$refs.tree, this.$refs.root.querySelector(".vp-close")];
      const at = stops.indexOf(document.activeElement);
      stops[(at + (isBack ? 2 : 1)) % 3].focus();
    },

    // -- into a field

    insert(path, field = this.field) {
      const place = writtenIn(field);
      if (!place || !insert(path, place)) this.$emit("accept", { param: field.dataset.param, path });
    },
    dragStart(row, event) {
      drag(event, row.item.path);
      document.body.classList.add("vp-dragging");
    },
    dragEnd() {
      document.body.classList.remove("vp-dragging");
      this.mark(null);
    },
    mark(field) {
      if (this.over === field) return;
      this.over?.classList.remove("fe-field--over");
      field?.classList.add("fe-field--over");
      this.over = field;
    },
    dragOver(event) { // what is written in takes a value by itself, where the mouse is
      if (!event.dataTransfer?.types.includes(DRAGGED)) return;
      const field = fieldOf(event.target);
      this.mark(field);
      if (!field || event.target.closest(WRITTEN)) return;
      event.preventDefault();
      event.dataTransfer.dropEffect = "copy";
    },
    dragLeave(event) {
      if (this.over && !this.over.contains(event.relatedTarget)) this.mark(null);
    },
    drop(event) {
      const path = event.dataTransfer?.getData(DRAGGED);
      this.dragEnd();
      const field = path && fieldOf(event.target);
      if (!field || event.target.closest(WRITTEN)) return;
      event.preventDefault();
      this.insert(path, field);
    },
  },
};
