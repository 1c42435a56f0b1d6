/* Hands the page what completion works with; nothing of it is seen. */

import { setScope, setWords } from "pulsewire-expressions";

export default {
  template: "<span hidden></span>",
  methods: {
    /** The values that the selected node can use. */
    setScope(scope) {
      setScope(scope);
    },
    /** The filters and tests there are. */
    setWords(words) {
      setWords(words);
    },
  },
};
