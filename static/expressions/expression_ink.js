/* Makes a code editor of NiceGUI know expressions, and shows the value of what it holds below it. */

import { Answer } from "pulsewire-expressions";

export default {
  template: `<Answer v-if="answer" :answer="answer" /><span v-else hidden></span>`,
  components: { Answer },
  props: { target: Number, label: String, quoted: Boolean, problems: { type: Array, default: () => [] }, answer: Object },

  watch: {
    problems(problems) {
      this.ink?.setProblems(problems);
    },
  },

  async mounted() {
    const { Ink } = await import("pulsewire-expressions/ink.js"); // brings the code editor along, which few forms need
    const editor = await getElement(this.target)?.editorPromise;
    if (!editor || !this.$el.isConnected) return;
    this.ink = new Ink(editor, this.label, this.quoted);
    this.ink.setProblems(this.problems);
  },

  beforeUnmount() {
    this.ink?.destroy();
  },

  methods: {
    insert(text) {
      this.ink?.insert(text);
    },
  },
};
