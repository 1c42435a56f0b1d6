/* The grid of a data table. It knows only the rows around what is seen; sorting, filtering and checking happen on the
   server. Python sets `page` (rows that were asked for) and `answers` (what became of edits); everything else is sent
   up as events: load, edit, open, add, selection. User text reaches the page only as text. */

const ROW = 36;
const CARD = 74;
const BLOCK = 100;
const KEPT_BLOCKS = 40;
const MARGIN = 8;
const MAX_HEIGHT = 8_000_000; // browsers lose pixels in taller elements; beyond, scrolling is scaled
const GUTTER = 64;
const NARROW = 640;
const WIDTHS = { text: 220, integer: 120, number: 130, boolean: 100, date: 130, datetime: 190, uuid: 230, json: 240 };
const ICONS = { text: "notes", integer: "tag", number: "decimal_increase", boolean: "toggle_on", date: "calendar_today", datetime: "schedule", uuid: "fingerprint", json: "data_object" };
const OPERATORS = {
  text: [["contains", "contains"], ["eq", "is"], ["ne", "is not"], ["starts_with", "starts with"]],
  uuid: [["eq", "is"], ["ne", "is not"]],
  integer: [["eq", "="], ["ne", "≠"], ["gt", ">"], ["gte", "≥"], ["lt", "<"], ["lte", "≤"]],
  date: [["eq", "on"], ["lt", "before"], ["gt", "after"], ["gte", "on or after"], ["lte", "on or before"]],
  datetime: [["gte", "from"], ["lt", "before"]],
  boolean: [["true", "is true"], ["false", "is false"]],
  json: [],
};
OPERATORS.number = OPERATORS.integer;
const NO_VALUE = new Set(["empty", "filled", "true", "false"]);

let grids = 0;

export default {
  template: `
    <div class="pw-grid" :class="{ 'pw-grid--cards': isNarrow }">
      <div ref="scroller" class="pw-grid-scroller" :tabindex="editing ? -1 : 0" role="grid" :aria-label="label"
           :aria-rowcount="total === null ? -1 : total + 1" :aria-colcount="shown.length + 1" aria-multiselectable="true"
           :aria-activedescendant="activeId" @scroll.passive="scrolled" @keydown="keydown" @paste="paste" @copy="copy">
        <div v-if="!isNarrow" class="pw-grid-head" role="row" aria-rowindex="1" :style="{ width: width + 'px' }">
          <div class="pw-grid-gutter" role="columnheader" aria-label="Selection">
            <input type="checkbox" class="pw-check" tabindex="-1" aria-label="Select the loaded rows" :checked="isAllSelected" :indeterminate.prop="!isAllSelected && selected.size > 0" @change="selectAll" />
          </div>
          <div v-for="(column, c) in shown" :key="column.name" class="pw-grid-name" role="columnheader" :style="{ width: column.width + 'px' }"
               :aria-sort="sort.column === column.name ? (sort.down ? 'descending' : 'ascending') : 'none'" :class="{ 'is-own': column.own }">
            <button type="button" class="pw-grid-sort" tabindex="-1" :disabled="column.type === 'json'" :title="headTitle(column)" @click="sortBy(column)">
              <i class="q-icon material-symbols-rounded" aria-hidden="true">{{ icons[column.type] }}</i>
              <span class="pw-clip">{{ column.name }}</span>
              <b v-if="column.required" title="Required">*</b>
              <i v-if="sort.column === column.name" class="q-icon material-symbols-rounded pw-grid-dir" aria-hidden="true">{{ sort.down ? 'arrow_downward' : 'arrow_upward' }}</i>
            </button>
            <button type="button" class="pw-grid-filter" tabindex="-1" :class="{ 'is-on': filters[column.name] }" :aria-label="'Filter ' + column.name" @click.stop="openFilter(column, $event)">
              <i class="q-icon material-symbols-rounded" aria-hidden="true">filter_list</i>
            </button>
            <span class="pw-grid-resize" @pointerdown.prevent="resize(column, $event)" @dblclick="setWidth(column, widthOf(column))"></span>
          </div>
        </div>
        <div class="pw-grid-rows" role="presentation" :style="{ height: Math.max(fullHeight, 1) + 'px', width: isNarrow ? '100%' : width + 'px' }">
          <template v-if="isNarrow">
            <button v-for="item in visible" :key="item.index" type="button" class="pw-grid-card" role="row" :style="{ transform: 'translateY(' + item.top + 'px)' }" @click="item.row && $emit('open', { id: item.row.id })">
              <template v-if="item.row">
                <span class="pw-grid-card-title pw-clip">{{ cardTitle(item.row) }}</span>
                <span class="pw-grid-card-sub pw-clip" v-for="line in cardLines(item.row)" :key="line[0]"><em>{{ line[0] }}</em> {{ line[1] }}</span>
              </template>
              <span v-else class="pw-grid-bone"></span>
            </button>
          </template>
          <template v-else>
            <div v-for="item in visible" :key="item.index" v-memo="looks(item)" class="pw-grid-row" role="row" :aria-rowindex="item.index + 2" :aria-selected="!!item.row && selected.has(item.row.id)"
                 :class="{ 'is-selected': item.row && selected.has(item.row.id), 'is-raised': isRaised(item) }" :style="{ transform: 'translateY(' + item.top + 'px)', width: width + 'px' }">
              <div class="pw-grid-gutter" role="gridcell">
                <template v-if="item.row">
                  <input type="checkbox" class="pw-check" tabindex="-1" :aria-label="'Select row ' + (item.index + 1)" :checked="selected.has(item.row.id)" @click="toggle(item, $event)" />
                  <span class="pw-grid-number">{{ item.index + 1 }}</span>
                  <button type="button" class="pw-grid-open" tabindex="-1" :aria-label="'Open row ' + (item.index + 1)" @click="$emit('open', { id: item.row.id })"><i class="q-icon material-symbols-rounded" aria-hidden="true">open_in_full</i></button>
                </template>
              </div>
              <div v-for="(column, c) in shown" :key="column.name" :id="cellId(item.index, c)" role="gridcell" class="pw-grid-cell" :aria-colindex="c + 2" :style="{ width: column.width + 'px' }"
                   :aria-readonly="column.own || null" :aria-invalid="item.row && faults[item.row.id + ':' + column.name] ? 'true' : null"
                   :class="cellClass(item, column, c)" @pointerdown="cellDown(item, c, $event)" @dblclick="edit(item.index, c)">
                <span v-if="!item.row" class="pw-grid-bone"></span>
                <template v-else-if="editing && editing.row === item.index && editing.col === c">
                  <textarea v-if="column.type === 'text' || column.type === 'json'" ref="editor" class="pw-grid-editor" :class="{ 'pw-mono': column.type === 'json' }" spellcheck="false" v-model="editing.text" :style="{ height: editorHeight(column) }" :aria-label="column.name" @keydown.stop="editorKey" @blur="commit(0, 0)" @pointerdown.stop></textarea>
                  <input v-else ref="editor" class="pw-grid-editor" :type="inputType(column)" :step="column.type === 'datetime' ? 1 : null" :inputmode="column.type === 'integer' ? 'numeric' : column.type === 'number' ? 'decimal' : null" v-model="editing.text" :aria-label="column.name" @keydown.stop="editorKey" @blur="commit(0, 0)" @pointerdown.stop />
                </template>
                <template v-else-if="column.type === 'boolean'">
                  <i v-if="valueOf(item.row, column) !== null" class="q-icon material-symbols-rounded" :class="valueOf(item.row, column) ? 'pw-tone--ok' : 'pw-tone--plain'" aria-hidden="true">{{ valueOf(item.row, column) ? 'check_circle' : 'cancel' }}</i>
                  <span class="pw-clip">{{ textOf(valueOf(item.row, column), column) }}</span>
                </template>
                <span v-else class="pw-clip">{{ textOf(valueOf(item.row, column), column) }}</span>
                <div v-if="item.row && faults[item.row.id + ':' + column.name] && !(editing && editing.row === item.index && editing.col === c)" class="pw-grid-fault" :class="{ 'is-above': item.top - scrollTop > viewHeight - 130 }" role="alert">{{ faults[item.row.id + ':' + column.name] }}</div>
              </div>
            </div>
          </template>
        </div>
        <div v-if="total === 0" class="pw-grid-empty">
          <template v-if="isFiltered">
            <strong>No row matches</strong><span>Change the search, or remove the filters.</span>
            <button type="button" class="q-btn pw-btn pw-grid-plain" @click="clearFilters">Remove the filters</button>
          </template>
          <template v-else>
            <strong>No rows yet</strong><span>{{ hasColumns ? 'Add the first one, or import a CSV file from the menu.' : 'Add columns first: choose “Columns” in the menu above.' }}</span>
            <button v-if="hasColumns" type="button" class="q-btn pw-btn pw-btn--primary pw-grid-plain" @click="$emit('add')">Add row</button>
          </template>
        </div>
      </div>
      <div class="pw-grid-foot" role="status">
        <span class="pw-num">{{ totalText }}</span>
        <span v-if="selected.size" class="pw-num">· {{ selected.size.toLocaleString('en') }} selected</span>
        <button v-if="filterCount" type="button" class="pw-grid-clear" @click="clearFilters">Remove {{ filterCount === 1 ? 'the filter' : filterCount + ' filters' }}</button>
        <span class="pw-grid-keys">↑↓←→ move · Enter edit · Del empty · Shift+Space select</span>
        <span v-if="isLoading" class="pw-grid-busy"></span>
      </div>
      <form v-if="filtering" ref="filterBox" class="pw-grid-filterbox" :style="{ left: filtering.left + 'px', top: filtering.top + 'px' }" @submit.prevent="applyFilter" @keydown.esc.stop="closeFilter">
        <div class="pw-label">{{ filtering.column.name }}</div>
        <select v-model="filtering.op" class="pw-native" aria-label="How to compare">
          <option v-for="op in operatorsOf(filtering.column)" :key="op[0]" :value="op[0]">{{ op[1] }}</option>
        </select>
        <input v-if="!noValue(filtering.op)" v-model="filtering.text" class="pw-native" :type="inputType(filtering.column)" aria-label="Value" placeholder="Value" />
        <div class="pw-grid-filterfoot">
          <button type="button" class="q-btn pw-btn pw-btn--ghost pw-grid-plain" @click="dropFilter">Remove</button>
          <button type="submit" class="q-btn pw-btn pw-btn--primary pw-grid-plain">Apply</button>
        </div>
      </form>
    </div>`,

  props: { columns: Array, page: Object, answers: Array, search: String, label: String, storage: String },
  emits: ["load", "edit", "open", "add", "selection"],

  data() {
    return {
      icons: ICONS, key: ++grids, known: this.columns, widths: {}, total: null, scrollTop: 0, viewHeight: 400, isNarrow: false, isLoading: false,
      active: { row: 0, col: 0 }, editing: null, selected: new Set(), lastToggled: null, faults: {}, pending: {},
      sort: { column: null, down: false }, filters: {}, filtering: null, marks: 0, // counts changes of faults and pending
      stamp: 0, // counts changes of the rows, which are kept outside Vue
    };
  },

  computed: {
    shown() {
      return this.known.map((column) => ({ ...column, width: this.widths[column.name] ?? this.widthOf(column) }));
    },
    width() { return GUTTER + this.shown.reduce((sum, column) => sum + column.width, 0); },
    rowHeight() { return this.isNarrow ? CARD : ROW; },
    realHeight() { return (this.total ?? 20) * this.rowHeight; },
    fullHeight() { return Math.min(this.realHeight, MAX_HEIGHT); },
    firstRow() {
      const room = this.fullHeight - this.viewHeight;
      if (this.realHeight <= MAX_HEIGHT || room <= 0) return this.scrollTop / this.rowHeight;
      return ((this.scrollTop / room) * (this.realHeight - this.viewHeight)) / this.rowHeight;
    },
    visible() {
      this.stamp;
      const count = this.total ?? 20;
      const from = Math.max(0, Math.floor(this.firstRow) - MARGIN);
      const to = Math.min(count, Math.ceil(this.firstRow + this.viewHeight / this.rowHeight) + MARGIN);
      const items = [];
      for (let index = from; index < to; index++) {
        items.push({ index, row: this.rowAt(index), top: this.topOf(index) });
      }
      return items;
    },
    hasColumns() { return this.known.some((column) => !column.own); },
    activeId() { return this.total ? this.cellId(this.active.row, this.active.col) : null; },
    isFiltered() { return !!(this.search || this.filterCount); },
    filterCount() { return Object.keys(this.filters).length; },
    isAllSelected() {
      this.stamp;
      const loaded = this.loaded();
      return loaded.length > 0 && loaded.every((row) => this.selected.has(row.id));
    },
    totalText() {
      if (this.total === null) return "Loading…";
      const rows = `${this.total.toLocaleString("en")} ${this.total === 1 ? "row" : "rows"}`;
      return this.isFiltered ? `${rows} found` : rows;
    },
  },

  watch: {
    page(page) { this.received(page); },
    answers(answers) { (answers ?? []).forEach((answer) => this.answered(answer)); },
    search() { this.restart(); },
    columns(columns) {
      if (JSON.stringify(columns) === JSON.stringify(this.known)) return; // every update brings a new, equal array
      this.known = columns;
      this.filters = {};
      this.sort = { column: null, down: false };
      this.restart();
    },
  },

  created() {
    this.blocks = new Map();
    this.nextToken = 1;
    this.waiting = null; // the one request under way
    this.edits = 0;
    this.seen = new Set();
    try {
      this.widths = JSON.parse(localStorage.getItem(this.storage) ?? "{}");
    } catch {
      this.widths = {};
    }
  },

  mounted() {
    this.observer = new ResizeObserver(() => this.measure());
    this.observer.observe(this.$refs.scroller);
    this.measure();
    this.ask();
    this.outside = (event) => {
      if (this.filtering && !this.$refs.filterBox?.contains(event.target)) this.filtering = null;
    };
    document.addEventListener("pointerdown", this.outside);
  },

  unmounted() {
    this.observer.disconnect();
    document.removeEventListener("pointerdown", this.outside);
  },

  methods: {
    // ---- rows: asked for in blocks, one request at a time, the newest view first
    /* What a row's looks depend on; while it is the same, Vue leaves the row alone. */
    looks(item) {
      const isActive = item.index === this.active.row;
      const isEdited = this.editing?.row === item.index;
      return [item.row, item.top, this.shown, this.marks, !!item.row && this.selected.has(item.row.id), isActive ? this.active.col : -1, isEdited ? `${this.editing.col}:${this.editing.text}` : null];
    },
    /* A cell of it reaches over its neighbours: an editor, or the reason why a value was refused. */
    isRaised(item) {
      return this.editing?.row === item.index || (!!item.row && this.shown.some((column) => this.faults[`${item.row.id}:${column.name}`]));
    },
    widthOf(column) { return column.own && column.type === "uuid" ? 130 : WIDTHS[column.type] ?? 180; },
    rowAt(index) { return this.blocks.get(Math.floor(index / BLOCK))?.[index % BLOCK]; },
    loaded() { return [...this.blocks.values()].flat(); },
    topOf(index) {
      if (this.realHeight <= MAX_HEIGHT) return index * this.rowHeight;
      return this.scrollTop + (index - this.firstRow) * this.rowHeight;
    },
    measure() {
      const box = this.$refs.scroller;
      if (!box) return;
      this.isNarrow = this.$el.clientWidth < NARROW;
      this.viewHeight = Math.max(80, box.clientHeight - (this.isNarrow ? 0 : ROW));
      this.$nextTick(() => this.ask());
    },
    scrolled() {
      this.scrollTop = this.$refs.scroller.scrollTop;
      if (this.filtering) this.filtering = null;
      this.ask();
    },
    missing() {
      const count = this.total ?? 1;
      const first = Math.floor(Math.max(0, Math.floor(this.firstRow)) / BLOCK);
      const last = Math.floor(Math.max(0, Math.min(count - 1, Math.ceil(this.firstRow + this.viewHeight / this.rowHeight) + MARGIN)) / BLOCK);
      for (let block = first; block <= last; block++) if (!this.blocks.has(block)) return block;
      return null;
    },
    ask(block = this.total === 0 ? null : this.missing()) {
      if (this.waiting || block === null) return;
      this.waiting = { token: this.nextToken++, block };
      this.isLoading = true;
      const filters = Object.entries(this.filters).map(([column, { op, text }]) => ({ column, op, text }));
      const sort = this.sort.column ? (this.sort.down ? "-" : "") + this.sort.column : null;
      this.$emit("load", { token: this.waiting.token, offset: block * BLOCK, limit: BLOCK, sort, filters });
    },
    received(page) {
      if (!this.waiting || !page || page.token !== this.waiting.token) return;
      const { block } = this.waiting;
      this.waiting = null;
      this.isLoading = false;
      if (page.stale) this.blocks.clear();
      this.total = page.total;
      this.blocks.delete(block);
      this.blocks.set(block, page.rows);
      while (this.blocks.size > KEPT_BLOCKS) this.blocks.delete(this.blocks.keys().next().value);
      this.active.row = Math.max(0, Math.min(this.active.row, page.total - 1));
      this.stamp++;
      if (this.goTo !== undefined) {
        const row = this.goTo;
        delete this.goTo;
        this.moveTo(Math.min(row, page.total - 1), this.active.col);
      }
      this.$nextTick(() => this.ask());
    },
    restart() {
      this.blocks.clear();
      this.waiting = null;
      this.total = null;
      this.editing = null;
      this.select(new Set());
      this.$refs.scroller && (this.$refs.scroller.scrollTop = 0);
      this.scrollTop = 0;
      this.stamp++;
      this.ask(0);
    },
    /* Called from Python: read again what is seen; other blocks are read when they come into view. */
    refresh() {
      if (this.waiting || this.editing) return;
      const block = Math.floor(Math.floor(this.firstRow) / BLOCK);
      [...this.blocks.keys()].filter((each) => each !== block).forEach((each) => this.blocks.delete(each));
      this.ask(block);
    },
    /* Called from Python after a row was added at the end. */
    showLast() {
      this.goTo = Number.MAX_SAFE_INTEGER;
      this.refresh();
    },
    unselect() { this.select(new Set()); },

    // ---- values as text
    valueOf(row, column) {
      const key = `${row.id}:${column.name}`;
      return key in this.pending ? this.pending[key] : row[column.name] ?? null;
    },
    textOf(value, column) {
      if (value === null || value === undefined) return "";
      if (column.type === "datetime") return String(value).replace("T", " ").replace(/(\.\d+)?Z$/, "");
      if (column.type === "json") return JSON.stringify(value);
      if (column.own && column.type === "uuid") return String(value).slice(0, 8) + "…";
      return String(value).slice(0, 400);
    },
    editText(value, column) {
      if (value === null || value === undefined) return "";
      if (column.type === "datetime") return String(value).replace(/(\.\d+)?Z$/, "");
      if (column.type === "json") return JSON.stringify(value, null, 2);
      return String(value);
    },
    cardTitle(row) {
      const column = this.known.find((each) => !each.own && each.type === "text" && row[each.name]) ?? this.known.find((each) => !each.own);
      return column ? this.textOf(row[column.name], column) || "–" : row.id;
    },
    cardLines(row) {
      const title = this.known.find((each) => !each.own && each.type === "text" && row[each.name]) ?? this.known.find((each) => !each.own);
      return this.known.filter((each) => !each.own && each !== title).slice(0, 2).map((each) => [each.name, this.textOf(row[each.name], each) || "–"]);
    },
    headTitle(column) {
      const about = [column.type === "datetime" ? "date and time, UTC" : column.type];
      if (column.required) about.push("required");
      if (column.unique) about.push("unique");
      return `${column.name}: ${about.join(", ")}`;
    },
    inputType(column) { return { date: "date", datetime: "datetime-local" }[column.type] ?? "text"; },
    cellId(row, col) { return `pw-cell-${this.key}-${row}-${col}`; },
    cellClass(item, column, c) {
      const key = item.row && `${item.row.id}:${column.name}`;
      return {
        "is-active": item.index === this.active.row && c === this.active.col,
        "is-own": column.own,
        "is-right": column.type === "integer" || column.type === "number",
        "is-pending": key in this.pending,
        "is-wrong": key && this.faults[key],
        "is-editing": this.editing && this.editing.row === item.index && this.editing.col === c,
        "pw-mono": column.type === "uuid" || column.type === "json",
      };
    },
    editorHeight(column) {
      const lines = (this.editing?.text ?? "").split("\n").length;
      return lines > 1 || (this.editing?.text ?? "").length > column.width / 7 ? "132px" : null;
    },

    // ---- moving and selecting
    moveTo(row, col) {
      if (!this.total) return;
      this.active = { row: Math.max(0, Math.min(row, this.total - 1)), col: Math.max(0, Math.min(col, this.shown.length - 1)) };
      this.reveal();
    },
    reveal() {
      const box = this.$refs.scroller;
      const { row, col } = this.active;
      const whole = Math.floor(this.viewHeight / ROW);
      let first = this.firstRow;
      if (row < first) first = row;
      else if (row > first + this.viewHeight / ROW - 1) first = row - this.viewHeight / ROW + 1;
      if (first !== this.firstRow) {
        const room = this.fullHeight - this.viewHeight;
        const top = this.realHeight <= MAX_HEIGHT ? first * ROW : (first * ROW * room) / (this.realHeight - this.viewHeight);
        box.scrollTop = row >= this.total - 1 - whole && row === this.total - 1 ? box.scrollHeight : top;
      }
      const left = this.shown.slice(0, col).reduce((sum, column) => sum + column.width, 0);
      const width = this.shown[col]?.width ?? 0;
      if (left < box.scrollLeft) box.scrollLeft = left;
      else if (left + width + GUTTER > box.scrollLeft + box.clientWidth) box.scrollLeft = left + width + GUTTER - box.clientWidth;
    },
    cellDown(item, c, event) {
      if (event.button !== 0 || !item.row) return;
      const again = this.active.row === item.index && this.active.col === c && document.activeElement === this.$refs.scroller;
      this.active = { row: item.index, col: c };
      if (again && event.detail === 1 && this.shown[c].type === "boolean") this.flip(item.row, this.shown[c]);
    },
    select(ids) {
      this.selected = ids;
      this.$emit("selection", { ids: [...ids] });
    },
    toggle(item, event) {
      const ids = new Set(this.selected);
      const on = !ids.has(item.row.id);
      const range = event.shiftKey && this.lastToggled !== null ? [Math.min(this.lastToggled, item.index), Math.max(this.lastToggled, item.index)] : [item.index, item.index];
      for (let index = range[0]; index <= range[1]; index++) {
        const row = this.rowAt(index);
        if (row) on ? ids.add(row.id) : ids.delete(row.id);
      }
      this.lastToggled = item.index;
      this.select(ids);
    },
    selectAll(event) { this.select(event.target.checked ? new Set(this.loaded().map((row) => row.id)) : new Set()); },

    keydown(event) {
      if (event.target !== this.$refs.scroller || this.isNarrow) return;
      const { row, col } = this.active;
      const whole = Math.max(1, Math.floor(this.viewHeight / ROW) - 1);
      const far = event.ctrlKey || event.metaKey;
      const moves = {
        ArrowUp: [far ? 0 : row - 1, col], ArrowDown: [far ? this.total - 1 : row + 1, col],
        ArrowLeft: [row, far ? 0 : col - 1], ArrowRight: [row, far ? Infinity : col + 1],
        PageUp: [row - whole, col], PageDown: [row + whole, col],
        Home: [far ? 0 : row, 0], End: [far ? this.total - 1 : row, Infinity],
      };
      const item = { index: row, row: this.rowAt(row) };
      if (moves[event.key]) this.moveTo(...moves[event.key]);
      else if (event.key === "Enter" || event.key === "F2") this.edit(row, col);
      else if ((event.key === "Delete" || event.key === "Backspace") && item.row) this.change(item.row, this.shown[col], null);
      else if (event.key === " " && event.shiftKey && item.row) this.toggle(item, { shiftKey: false });
      else if (event.key === " " && this.shown[col]?.type === "boolean" && item.row) this.flip(item.row, this.shown[col]);
      else if (event.key === "Escape") [this.faults, this.marks] = [{}, this.marks + 1];
      else if (event.key.length === 1 && !far && !event.altKey) this.edit(row, col, event.key);
      else return;
      event.preventDefault();
    },
    copy(event) {
      const row = this.rowAt(this.active.row);
      if (event.target !== this.$refs.scroller || !row || String(getSelection())) return;
      const column = this.shown[this.active.col];
      event.clipboardData.setData("text/plain", this.editText(this.valueOf(row, column), column));
      event.preventDefault();
    },
    paste(event) {
      const row = this.rowAt(this.active.row);
      if (event.target !== this.$refs.scroller || !row) return;
      this.change(row, this.shown[this.active.col], event.clipboardData.getData("text/plain"));
      event.preventDefault();
    },

    // ---- editing: shown at once, taken back with the reason when the server refuses
    edit(row, col, seed) {
      const column = this.shown[col];
      const found = this.rowAt(row);
      if (!found || !column || column.own || this.isNarrow) return;
      if (found.$long?.includes(column.name)) return this.$emit("open", { id: found.id }); // only its beginning is here
      if (column.type === "boolean") return seed === undefined ? this.flip(found, column) : undefined;
      if (seed !== undefined && (column.type === "date" || column.type === "datetime")) seed = undefined;
      delete this.faults[`${found.id}:${column.name}`];
      this.marks++;
      this.active = { row, col };
      const text = this.editText(this.valueOf(found, column), column);
      this.editing = { row, col, id: found.id, before: text, text: seed ?? text };
      this.$nextTick(() => {
        const editor = [this.$refs.editor].flat()[0];
        editor?.focus();
        if (seed === undefined) editor?.select?.();
        else editor?.setSelectionRange?.(seed.length, seed.length);
      });
    },
    editorKey(event) {
      const isLong = event.target.tagName === "TEXTAREA";
      if (event.key === "Escape") this.commit(0, 0, true);
      else if (event.key === "Tab") this.commit(0, event.shiftKey ? -1 : 1);
      else if (event.key === "Enter" && !(isLong && (event.shiftKey || event.altKey))) this.commit(event.shiftKey ? -1 : 1, 0);
      else return;
      event.preventDefault();
    },
    commit(down, right, isCancelled = false) {
      const editing = this.editing;
      if (!editing) return;
      this.editing = null;
      const row = this.rowAt(editing.row);
      if (!isCancelled && editing.text !== editing.before && row?.id === editing.id) this.change(row, this.shown[editing.col], editing.text);
      if (down || right || isCancelled) {
        this.moveTo(editing.row + down, editing.col + right);
        this.$nextTick(() => this.$refs.scroller.focus({ preventScroll: true }));
      }
    },
    flip(row, column) {
      const value = this.valueOf(row, column);
      const next = value === true ? false : value === false && !column.required ? null : true;
      this.change(row, column, next);
    },
    /* *value* is text, true, false or null: Python reads it as the column's type. */
    change(row, column, value) {
      if (column.own) return;
      const key = `${row.id}:${column.name}`;
      if (value === null && (row[column.name] ?? null) === null && !(key in this.pending)) return;
      delete this.faults[key];
      this.marks++;
      this.pending[key] = value === "" ? null : value;
      this.$emit("edit", { seq: ++this.edits, id: row.id, column: column.name, value });
    },
    answered({ seq, id, column, row, error }) {
      if (this.seen.has(seq)) return;
      this.seen.add(seq);
      const key = `${id}:${column}`;
      this.marks++;
      delete this.pending[key];
      if (error) this.faults[key] = error;
      if (row) {
        for (const rows of this.blocks.values()) {
          const index = rows.findIndex((each) => each.id === row.id);
          if (index >= 0) rows[index] = row;
        }
      }
      this.stamp++;
    },

    // ---- order, filters, widths
    sortBy(column) {
      if (this.sort.column !== column.name) this.sort = { column: column.name, down: false };
      else if (!this.sort.down) this.sort = { column: column.name, down: true };
      else this.sort = { column: null, down: false };
      this.restart();
    },
    operatorsOf(column) { return [...(OPERATORS[column.type] ?? []), ["empty", "is empty"], ["filled", "is not empty"]]; },
    noValue(op) { return NO_VALUE.has(op); },
    openFilter(column, event) {
      const button = event.currentTarget.getBoundingClientRect();
      const box = this.$el.getBoundingClientRect();
      const known = this.filters[column.name];
      const left = Math.max(8, Math.min(button.left - box.left - 12, box.width - 248));
      this.filtering = { column, op: known?.op ?? this.operatorsOf(column)[0][0], text: known?.text ?? "", left, top: button.bottom - box.top + 6 };
      this.$nextTick(() => this.$refs.filterBox?.querySelector("input, select")?.focus());
    },
    applyFilter() {
      const { column, op, text } = this.filtering;
      if (!this.noValue(op) && text === "") return this.dropFilter();
      this.filters = { ...this.filters, [column.name]: { op, text } };
      this.filtering = null;
      this.restart();
    },
    dropFilter() {
      const { [this.filtering.column.name]: gone, ...left } = this.filters;
      this.filters = left;
      this.filtering = null;
      if (gone) this.restart();
    },
    closeFilter() {
      this.filtering = null;
      this.$refs.scroller.focus();
    },
    clearFilters() {
      const had = this.filterCount;
      this.filters = {};
      if (had) this.restart();
      if (this.search) this.$emit("load", { clear: true });
    },
    resize(column, event) {
      const start = event.clientX;
      const width = column.width;
      const move = (moved) => this.setWidth(column, width + moved.clientX - start);
      window.addEventListener("pointermove", move);
      window.addEventListener("pointerup", () => window.removeEventListener("pointermove", move), { once: true });
    },
    setWidth(column, width) {
      this.widths[column.name] = Math.max(70, Math.min(900, width));
      try {
        localStorage.setItem(this.storage, JSON.stringify(this.widths));
      } catch {
        /* remembered for this visit only */
      }
    },
  },
};
