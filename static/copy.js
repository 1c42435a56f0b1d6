/* Puts text on the clipboard and tells whether it is there. Browsers offer navigator.clipboard on https and this
   computer only; elsewhere a field is selected and copied from. */
window.pulsewireCopy = async (text) => {
  if (navigator.clipboard) {
    try {
      await navigator.clipboard.writeText(text);
      return true;
    } catch {
      // not allowed here: try it as where there is none
    }
  }
  const before = document.activeElement;
  const field = document.createElement("textarea");
  field.value = text;
  field.readOnly = true;
  field.style.cssText = "position: fixed; inset: 0 auto auto 0; opacity: 0";
  (before?.closest(".q-dialog__inner") ?? document.body).append(field); // a dialog keeps the focus inside
  field.select();
  const isCopied = document.execCommand("copy");
  field.remove();
  before?.focus({ preventScroll: true });
  return isCopied;
};
