/* The line below a field that tells the value of its expressions, or why there is none; a long value is shown as a whole
   in a card. `answer` is `{tone: "value" | "error" | "wait", text, kind?, more?}`. */

export const Answer = {
  template: `
    <div class="px-answer" :class="'px-answer--' + answer.tone">
      <template v-if="answer.tone === 'value'">
        <span class="pw-hidden-text">Value now:</span>
        <button v-if="answer.more" ref="opener" type="button" class="px-answer-text px-answer-open" title="Show all of it" aria-haspopup="dialog"
          :aria-expanded="String(!!place)" @click="toggle">{{ answer.text }}</button>
        <span v-else class="px-answer-text">{{ answer.text }}</span>
        <span class="px-answer-kind">{{ answer.kind }}</span>
      </template>
      <span v-else class="px-answer-words">{{ answer.text }}</span>
      <Teleport v-if="place" to="body">
        <div ref="more" class="px-more" role="dialog" aria-label="The whole value" tabindex="-1" :style="place" @keydown.esc.stop="close(true)" @focusout="lost">
          <pre class="px-more-text">{{ answer.more }}</pre>
        </div>
      </Teleport>
    </div>`,

  props: { answer: Object },
  data: () => ({ place: null }),

  watch: {
    answer(now, before) {
      if (now.more !== before.more) this.place = null; // each message brings a new object, often of the same value
    },
  },

  methods: {
    async toggle() {
      if (this.place) return this.close();
      const { left, top, bottom } = this.$el.getBoundingClientRect();
      const isAbove = innerHeight - bottom < 260 && top > innerHeight - bottom;
      const width = Math.min(420, innerWidth - 16);
      const x = `${Math.max(8, Math.min(left, innerWidth - width - 8))}px`;
      this.place = { left: x, width: `${width}px`, ...(isAbove ? { bottom: `${innerHeight - top + 6}px` } : { top: `${bottom + 6}px` }) };
      await this.$nextTick();
      this.$refs.more.focus();
    },

    close(isFocused = false) {
      this.place = null;
      if (isFocused) this.$refs.opener?.focus();
    },

    lost(event) {
      if (event.relatedTarget !== this.$refs.opener) this.close();
    },
  },
};
