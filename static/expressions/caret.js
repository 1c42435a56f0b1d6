/* Places of characters on the screen, found in the coloured copy of a text field. */

/** The rectangle of the place before character *offset* of what *painted* shows. */
export function rectAt(painted, offset) {
  const range = document.createRange();
  const [node, within] = nodeAt(painted, offset);
  range.setStart(node, within);
  range.collapse(true);
  const rect = range.getClientRects()[0] ?? range.getBoundingClientRect();
  return rect.height ? rect : painted.getBoundingClientRect();
}

/** The number of the character of *field* at a point of the screen, or null beside the text. */
export function offsetAt(field, painted, x, y) {
  field.style.pointerEvents = "none"; // the copy lies below
  try {
    const found = document.caretPositionFromPoint?.(x, y) ?? document.caretRangeFromPoint?.(x, y);
    const node = found?.offsetNode ?? found?.startContainer;
    if (!node || !painted.contains(node)) return null;
    const range = document.createRange();
    range.setStart(painted, 0);
    range.setEnd(node, found.offset ?? found.startOffset);
    return Math.min(range.toString().length, field.value.length);
  } finally {
    field.style.pointerEvents = "";
  }
}

function nodeAt(painted, offset) {
  const walker = document.createTreeWalker(painted, NodeFilter.SHOW_TEXT);
  let left = offset;
  let last = null;
  for (let node; (node = walker.nextNode()); left -= node.data.length) {
    if (left <= node.data.length) return [node, left];
    last = node;
  }
  return last ? [last, last.data.length] : [painted, 0];
}
