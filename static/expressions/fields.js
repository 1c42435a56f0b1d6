/* The expression fields of the page, for whatever puts values into them: the picker, a menu, a drag.

     insert("$param.email")              into the field that has, or had last, the focus; false if there is none
     insert("$param.email", element)     into the field in or around *element*
     drag(event, "$param.email")         call it on `dragstart`; a drop puts the value where it is let go

   A name that begins with `$` gets its braces by itself where it needs them. When the braces of a new expression are
   typed, the field sends `px-open` (bubbling; `detail.rect` is the place of the caret). Who shows values for it calls
   preventDefault(); then the field shows no suggestions, and tells with `px-close` that what was opened should go, because
   the person types on, and with `px-enter` that they pressed the arrow down and want to be in it. */

export const DRAGGED = "text/x-pulsewire-expression";
const fields = new Set();
let last = null;

/** Make *field* known: `{element, insert(text)}`. Returns the function that forgets it. */
export function register(field) {
  fields.add(field);
  return () => {
    fields.delete(field);
    if (last === field) last = null;
  };
}

export function focused(field) {
  last = field;
}

export function insert(text, element = null) {
  const field = element ? [...fields].find((each) => each.element.contains(element) || element.contains(each.element)) : last;
  field?.insert(text);
  return Boolean(field);
}

export function drag(event, name) {
  event.dataTransfer.setData(DRAGGED, name);
  event.dataTransfer.setData("text/plain", `{{ ${name} }}`);
  event.dataTransfer.effectAllowed = "copy";
}
